"""The whole story in a browser: log in, see the alert come, open the case, decide, see the rule's precision move.

It starts `varsel demo`, reads the log-in from its terminal as a newcomer does, and walks with Chromium. Each page is held
against checks.js in light and dark, and its picture is kept. Exit codes: 0 all is well, 1 something is not.
"""

import pathlib
import re
import subprocess
import sys
import threading
import time

from driver import Browser, Failed

HERE = pathlib.Path(__file__).parent
CHECKS = (HERE / "checks.js").read_text()


class Demo:
    """`varsel demo` with what it says in the terminal."""

    def __init__(self, varsel):
        self.process = subprocess.Popen([varsel, "demo"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.said = ""
        threading.Thread(target=self.read, daemon=True).start()
        self.address = self.until(r"console: (http://\S+)/console")
        self.password = self.until(r"password\s+(\S+)")

    def read(self):
        for line in self.process.stdout:
            self.said += line

    def until(self, pattern, patience=90):
        end = time.monotonic() + patience
        while time.monotonic() < end:
            found = re.search(pattern, self.said)
            if found:
                return found.group(1) if found.groups() else found.group(0)
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise Failed(f"the demo does not say `{pattern}`:\n{self.said[-2000:]}")

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Walk:
    def __init__(self, browser, demo, pictures):
        self.browser, self.demo, self.pictures = browser, demo, pictures
        self.faults = []

    def page(self, name):
        """Holds a page against the checks in both colours, and keeps its pictures."""
        for scheme in ("light", "dark"):
            self.browser.colours(scheme)
            for fault in self.browser.run(CHECKS):
                self.faults.append(f"{name}, {scheme}: {fault}")
            self.browser.picture(self.pictures / f"{name}-{scheme}.png")
        self.browser.colours("light")
        print(f"  {name}: seen", flush=True)

    def claim(self, what, holds):
        print(f"  {what}: {'yes' if holds else 'NO'}", flush=True)
        if not holds:
            self.faults.append(what)

    def log_in(self):
        browser = self.browser
        browser.open(self.demo.address + "/console")
        self.page("log-in")
        browser.write("#name", "analyst")
        browser.write("#password", "not the password")
        browser.click("button.primary")
        self.claim("a wrong password is refused", "/log-in" in browser.url() and browser.has(".said.bad"))
        browser.write("#name", "analyst")
        browser.write("#password", self.demo.password)
        browser.click("button.primary")
        browser.find("#rows")

    def queue(self):
        browser = self.browser
        browser.until("the case of 2018 comes by itself", "return document.body.innerText.includes('p-144')", 60)
        self.claim("the queue shows the case of 2018 as it comes in", True)
        self.demo.until(r"the stream goes on")
        browser.until("all severities", "return document.querySelectorAll('#rows .chip.critical').length > 0", 20)
        self.page("queue")
        browser.press("j")
        self.claim("`j` goes to the first case", browser.run("return document.activeElement.matches('#rows a.open')"))
        browser.press("?")
        self.claim("`?` lists the keys", browser.run("return document.getElementById('keys-list').open"))
        self.page("keys")
        browser.press("\ue00c")
        browser.press("/")
        self.claim("`/` goes to the search", browser.run("return document.activeElement.id === 'q'"))
        browser.write("#q", "p-144\n")
        found = "return [...document.querySelectorAll('#rows .row')].every(row => row.innerText.includes('p-144'))"
        browser.until("the search finds the cardholder's cases alone", found)

    def case(self):
        browser = self.browser
        link = "[...document.querySelectorAll('#rows a.open')].find(a => /balance/i.test(a.textContent))"
        browser.until("the case of repeated transfers", f"return Boolean({link})")
        browser.run(f"{link}.click()")
        story = browser.text(".story")
        print(f"    {story}", flush=True)
        self.claim("the sentence tells of the declined transfers", "declined" in story and "Western Union" in story)
        marks = browser.run("return [...document.querySelectorAll('.timeline .mark')].map(mark => mark.className.baseVal.split(' ')[1])")
        for mark in ("declined", "approved", "asked", "eid", "alert", "hold"):
            self.claim(f"the plot has `{mark}`", mark in marks)
        countries = browser.run("return [...document.querySelectorAll('.timeline .mark.eid text')].map(text => text.textContent)")
        self.claim("the eID mark bears its country", "BG" in countries)
        self.page("case")
        browser.picture(self.pictures / "case-whole.png", whole=True)
        browser.click(".claim button")
        browser.find(".person.mine")
        self.claim("the case is claimed", True)
        browser.write("#note", "Called the bank's <b>branch</b>")
        browser.run("document.getElementById('note').form.requestSubmit()")
        browser.find(".note")
        self.claim("a note is shown as it was written", "<b>branch</b>" in browser.text(".note"))
        browser.run("document.querySelector('.hold.stands details').open = true")
        browser.write(".hold.stands input[name=reason]", "The customer was called")
        browser.run("document.querySelector('.hold.stands form').requestSubmit()")
        browser.until("the hold is released", "return /released/.test(document.querySelector('.hold .tag').textContent)")
        self.claim("the hold is released", True)
        browser.run("document.querySelector('input[value=fraud]').checked = true")
        browser.write("#reason", "The customer was at work in Aarhus")
        browser.run("document.getElementById('reason').form.requestSubmit()")
        browser.until("the verdict is shown", "return document.querySelector('.made .verdict.fraud') !== null")
        self.claim("the verdict is recorded", True)
        self.page("case-decided")

    def afterwards(self):
        browser = self.browser
        counted = "const row = document.getElementById('over-balance-transfer-attempts'); return row && /100\\.0%/.test(row.innerText)"
        end = time.monotonic() + 15
        while True:
            browser.open(self.demo.address + "/console/rules")
            if browser.run(counted) or time.monotonic() > end:
                break
            time.sleep(0.5)
        self.claim("the rule's precision has moved", browser.run(counted))
        self.page("rules")
        for name in ("overview", "health"):
            browser.open(f"{self.demo.address}/console/{name}")
            browser.find("h1")
            self.page(name)
        browser.run("document.querySelector('button[name=lang]').click()")
        browser.until("Danish", "return document.documentElement.lang === 'da'")
        self.page("health-da")
        browser.open(self.demo.address + "/console/queue")
        self.page("queue-da")
        # The wrong password of the beginning is refused with 403, and told so.
        complaints = [told for told in browser.complaints() if "/console/log-in - " not in told]
        print("\n".join(f"    {told}" for told in complaints), end="\n" if complaints else "")
        self.claim("the browser has nothing to complain of", not complaints)


def main():
    varsel, pictures = sys.argv[1], pathlib.Path(sys.argv[2])
    pictures.mkdir(parents=True, exist_ok=True)
    demo, browser, walk = Demo(varsel), None, None
    try:
        browser = Browser()
        walk = Walk(browser, demo, pictures)
        began = time.monotonic()
        walk.log_in()
        walk.queue()
        walk.case()
        walk.afterwards()
        print(f"the walk took {time.monotonic() - began:.0f} s; pictures in {pictures}")
    except Failed as failed:
        if browser is not None:
            browser.picture(pictures / "failed.png")
        print(f"FAILED: {failed}")
        return 1
    finally:
        if browser is not None:
            browser.close()
        demo.close()
    for fault in walk.faults:
        print(f"fault: {fault}")
    print("all is well" if not walk.faults else f"{len(walk.faults)} faults")
    return int(bool(walk.faults))


if __name__ == "__main__":
    sys.exit(main())
