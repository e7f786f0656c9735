"""The console: one page that shows what is pending and lets a reader change it, over the HTTP API alone.

The page is plain files without a build step: `index.html`, `style.css`, the modules in `app`, and the chart library in
`vendor`. Only `serving` hands them out. Nothing here is imported by another function than the API's.
"""
