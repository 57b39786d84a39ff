"""The studio: the script that Streamlit runs, and the server under it (`uvicorn studio_app:app`)."""

from pathlib import Path

import streamlit as st

if __name__ == "__main__":
    # A file of ours: the browser would fetch a named icon from somebody else's server.
    icon = str(Path(__file__).parent / "pages" / "icon.svg")
    st.set_page_config(page_title="Cinegen Studio", page_icon=icon, layout="centered")
    st.navigation([st.Page("pages/generate.py", title="Generate", icon=":material/edit_note:")]).run()
else:
    from starlette.routing import Mount

    from pages.shared import the_api

    app = st.App(__file__, routes=[Mount("/api", app=the_api)])
