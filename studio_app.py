"""The studio: the script that Streamlit runs, and the server under it (`uvicorn studio_app:app`).

The HTTP interface is at /api. Prometheus and load balancers look at the root of a server for /metrics and /healthz, where
Streamlit serves nothing of its own (its own are below /_stcore); no page may be named like one of these three.
"""

from pathlib import Path

import streamlit as st

if __name__ == "__main__":
    # A file of ours: the browser would fetch a named icon from somebody else's server.
    icon = str(Path(__file__).parent / "pages" / "icon.svg")
    st.set_page_config(page_title="Cinegen Studio", page_icon=icon, layout="centered")
    from pages.map import navigate

    navigate()
else:
    from starlette.routing import Mount, Route
    from streamlit.runtime.pages_manager import PagesManager

    from pages.shared import TheApi, lifespan

    # Until st.navigation has been called once, Streamlit would run a page that is opened by its own address without this file.
    PagesManager.uses_pages_directory = False
    # A mount takes only what follows its slash; /api itself would be answered with a page.
    routes = [
        *(Route(path, TheApi()) for path in ("/api", "/metrics", "/healthz")),
        Mount("/api", app=TheApi()),
    ]
    app = st.App(__file__, routes=routes, lifespan=lifespan)
