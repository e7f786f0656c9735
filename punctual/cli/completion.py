"""`punctual completion`: the script with which a shell completes commands and options."""

import click

from punctual.cli.options import command
from punctual.cli.run import Run, pass_run

SHELLS = ("bash", "zsh", "fish")


@command(
    "completion",
    example="""
    punctual completion bash > ~/.local/share/bash-completion/completions/punctual
    punctual completion zsh > ~/.zfunc/_punctual
    punctual completion fish > ~/.config/fish/completions/punctual.fish
    """,
)
@click.argument("shell", type=click.Choice(SHELLS))
@pass_run
def completion(run: Run, shell: str) -> None:
    """Print the script that completes commands and options in your shell.

    Save it where your shell looks for completions, as the examples show, and open a new shell. For bash this needs the
    package bash-completion; without it, add `eval "$(punctual completion bash)"` to ~/.bashrc. For zsh the folder
    must be in the fpath: put `fpath+=~/.zfunc; autoload -Uz compinit; compinit` into ~/.zshrc.
    """
    from click.shell_completion import get_completion_class

    from punctual.cli.group import COMPLETION_VARIABLE, NAME, root

    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"there is no completion for {shell}")
    script = found(root, {}, NAME, COMPLETION_VARIABLE)
    run.output.raw(script.source_template % script.source_vars() + "\n")
