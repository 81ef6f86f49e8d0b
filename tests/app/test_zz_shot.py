"""shots of the preference page"""
import sys; sys.path.insert(0,'/tmp/w/channels4/repo')
from playwright.sync_api import sync_playwright
from tests.app.test_preferences import *
from tests.app.conftest import *
OUT='/tmp/w/channels4/shots/'
def test_shots(web, db, about_news, path):
    import os; os.makedirs(OUT,exist_ok=True)
    with db.begin() as conn:
        for ch,pu,st in (("whatsapp","marketing","granted"),("ads","marketing","granted"),("ads","personalization","granted"),("any","personalization","denied"),("whatsapp","marketing/kitchen","denied")):
            consent.record(conn, customer_id=about_news.customer_id, channel=ch, purpose=pu, source="f", state=st, at=NOW - timedelta(days=1), now=NOW)
    with sync_playwright() as e, tracking.served(web) as a:
        b=e.chromium.launch(executable_path=browser.executable(),args=["--no-sandbox"])
        for lang in ("en","fr"):
            for look in ("light","dark"):
                for w,h in ((390,844),(1440,900)):
                    p=b.new_context(viewport={"width":w,"height":h},locale=lang,color_scheme=look).new_page()
                    p.goto(a+path("preferences",about_news.message_id)); p.screenshot(path=f"{OUT}pref-{lang}-{look}-{w}.png",full_page=True); p.close()
        b.close()
