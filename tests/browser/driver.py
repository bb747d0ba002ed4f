"""A WebDriver client in a page: what the walk needs of chromedriver, from the standard library alone.

It knows nothing of Varsel; what is clicked and looked for stands in walk.py.
"""

import base64
import json
import shutil
import subprocess
import time
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"


class Failed(Exception):
    """A step of the walk did not come to what it should."""


class Browser:
    """One headless Chromium at 1280 by 720."""

    def __init__(self, chromedriver="chromedriver", chromium="chromium", scheme="light", lang="en-GB"):
        self.process = subprocess.Popen(
            [chromedriver, "--port=0", "--log-level=WARNING"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.base = None
        for line in self.process.stdout:
            if "started successfully on port" in line:
                port = line.strip().rstrip(".").rsplit(" ", 1)[1]
                self.base = f"http://127.0.0.1:{port}"
                break
        if self.base is None:
            raise Failed("chromedriver does not start")
        args = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                "--window-size=1280,720", f"--lang={lang}", "--disable-background-networking", "--no-first-run"]
        options = {"binary": shutil.which(chromium) or chromium, "args": args, "prefs": {"intl.accept_languages": lang}}
        wanted = {"capabilities": {"alwaysMatch": {"browserName": "chrome", "goog:chromeOptions": options,
                                                   "goog:loggingPrefs": {"browser": "ALL"}}}}
        self.session = self.call("POST", "/session", wanted)["sessionId"]
        self.devtools("Emulation.setDeviceMetricsOverride",
                      {"width": 1280, "height": 720, "deviceScaleFactor": 1, "mobile": False})
        self.colours(scheme)

    def call(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            told = json.load(error)["value"]
            raise Failed(f"{told['error']}: {told['message'].splitlines()[0]}") from None

    def of(self, method, path, body=None):
        return self.call(method, f"/session/{self.session}{path}", body)

    def devtools(self, command, params):
        return self.of("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def colours(self, scheme):
        """What the system asks for: light or dark."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.devtools("Emulation.setEmulatedMedia", {"media": "screen", "features": features})

    def open(self, url):
        self.of("POST", "/url", {"url": url})

    def run(self, script, *args):
        return self.of("POST", "/execute/sync", {"script": script, "args": list(args)})

    def run_async(self, script, *args):
        return self.of("POST", "/execute/async", {"script": script, "args": list(args)})

    def find(self, css, patience=10.0):
        """The first element; waits for it."""
        end = time.monotonic() + patience
        while True:
            found = self.of("POST", "/elements", {"using": "css selector", "value": css})
            if found:
                return found[0][ELEMENT]
            if time.monotonic() > end:
                raise Failed(f"`{css}` is not on {self.url()}")
            time.sleep(0.1)

    def has(self, css):
        return bool(self.of("POST", "/elements", {"using": "css selector", "value": css}))

    def click(self, css):
        self.of("POST", f"/element/{self.find(css)}/click", {})

    def write(self, css, text):
        self.of("POST", f"/element/{self.find(css)}/value", {"text": text})

    def press(self, key):
        actions = [{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]
        self.of("POST", "/actions", {"actions": [{"type": "key", "id": "keys", "actions": actions}]})

    def text(self, css):
        return self.of("GET", f"/element/{self.find(css)}/text")

    def url(self):
        return self.of("GET", "/url")

    def until(self, what, script, patience=15.0):
        """Waits until a script answers something true."""
        end = time.monotonic() + patience
        while True:
            found = self.run(script)
            if found:
                return found
            if time.monotonic() > end:
                raise Failed(f"in vain: {what}, on {self.url()}")
            time.sleep(0.1)

    def picture(self, path, whole=False):
        if whole:
            height = self.run("return Math.max(720, document.documentElement.scrollHeight)")
            self.devtools("Emulation.setDeviceMetricsOverride",
                          {"width": 1280, "height": min(height, 6000), "deviceScaleFactor": 1, "mobile": False})
        data = self.of("GET", "/screenshot")
        if whole:
            self.devtools("Emulation.setDeviceMetricsOverride",
                          {"width": 1280, "height": 720, "deviceScaleFactor": 1, "mobile": False})
        with open(path, "wb") as out:
            out.write(base64.b64decode(data))

    def complaints(self):
        """What the browser's console says: faults of scripts, refusals by the CSP."""
        return [entry["message"] for entry in self.of("POST", "/se/log", {"type": "browser"}) if entry["level"] == "SEVERE"]

    def close(self):
        try:
            self.of("DELETE", "")
        except (Failed, OSError):
            pass
        self.process.terminate()
        self.process.wait()
