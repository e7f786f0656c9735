"""Builds what the admin function needs: applications and keys in the table, and API Gateway if there is an API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scheduler.wiring.resources import Resources

if TYPE_CHECKING:
    from scheduler.administering.dependencies import AdminDependencies
    from scheduler.aws.applications.gateway import Gateway


class AdminResources(Resources):
    def for_administering(self) -> AdminDependencies:
        from scheduler.administering.dependencies import AdminDependencies
        from scheduler.aws.applications.administered import AdministeredApplications
        from scheduler.aws.signing_secrets import Secrets

        its = self.settings
        secrets_manager = self.runtime.client("secretsmanager", 1) if its.webhook_secret_arn else None
        return AdminDependencies(
            applications=AdministeredApplications(self.client("dynamodb"), its.table_name),
            counts=self.counts,
            pool=self.pool,
            table=self.table,
            partition_count=its.partition_count,
            randomness=self.runtime.randomness,
            listed=its.listed,
            hosts=its.webhook_hosts,
            secrets=Secrets(secrets_manager, its.webhook_secret_arn, self.runtime.clock),
            gateway=self._gateway(),
        )

    def _gateway(self) -> Gateway | None:
        """Return the adapter of API Gateway, or None if the stack has no API."""
        if not self.settings.api_stage:
            return None
        from scheduler.aws.applications.gateway import Gateway

        return Gateway(self.client("apigateway"), self.settings.api_stage, self.settings.stack_name)
