"""The demo's page: what a person does on it, and what they read."""

LAST_REPORTS = """
const [title] = arguments;
return [...document.querySelectorAll(".log")].map((log) => {
  const about = (line) => line.querySelector("strong")?.textContent === title;
  const line = [...log.children].findLast(about);
  const words = line?.querySelector("span").innerText.replaceAll("\\u00a0", " ");
  return line ? [line.className, words.slice(`${title}: `.length)] : ["nothing", ""];
});
"""
# Every text that stands out too little from what is behind it (WCAG 2, level AA).
POOR_CONTRASTS = """
const rgb = (color) => color.match(/[\\d.]+/g).map(Number);
const luminance = (color) => rgb(color).slice(0, 3).map((part) => part / 255)
  .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
  .reduce((sum, part, i) => sum + part * [0.2126, 0.7152, 0.0722][i], 0);
const behind = (element) => {
  const { backgroundColor } = getComputedStyle(element);
  return rgb(backgroundColor)[3] === 0 ? behind(element.parentElement) : backgroundColor;
};
const isText = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim();
return [...document.body.querySelectorAll("*")]
  .filter((element) => [...element.childNodes].some(isText))
  .filter((element) => element.checkVisibility() && !element.disabled)
  .map((element) => [element, getComputedStyle(element).color, behind(element)])
  .map(([element, ...colors]) => [element.textContent, colors.map(luminance).sort((a, b) => b - a)])
  .filter(([, [lighter, darker]]) => (lighter + 0.05) / (darker + 0.05) < 4.5)
  .map(([text, luminances]) => `${text}: ${luminances}`);
"""


class Page:
    """The page as a person has it in front of them."""

    def __init__(self, browser, demo):
        self.browser = browser
        self.demo = demo
        browser.open(f"http://127.0.0.1:{demo.port}/")
        for pane in ("plain", "resilient"):
            self.shows(pane, "state", "open")

    def find(self, selector):
        return self.browser.driver.find_element("css selector", selector)

    def shows(self, pane, part, pattern, deadline=15.0):
        """Wait until that part of a pane reads like that."""
        found = (
            "const [pane, part, pattern] = arguments;"
            "const { innerText } = document.querySelector(`[data-kind=${pane}] .${part}`);"
            "return new RegExp(`^(${pattern})$`, 'u').test(innerText.replaceAll('\\u00a0', ' '))"
        )
        self.browser.until(found, pane, part, pattern, deadline=deadline)

    def press(self, fault):
        self.find(f"[data-fault={fault}]").click()

    def rests(self):
        """Wait until no fault is going on."""
        self.browser.until("return document.body.ariaBusy !== 'true'", deadline=60.0)

    def reports(self, fault):
        """The last that each pane said about a fault: whether it is fine, and the words."""
        return self.browser.run(LAST_REPORTS, self.find(f"[data-fault={fault}]").text)
