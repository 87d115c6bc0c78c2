"""The main path in Chinese, in a real browser: chosen by the browser, and by hand."""

import re

import pytest
from playwright.sync_api import Page, expect

from api.settings import Settings
from tests.browsers import Windows
from tests.dashboard import pictures
from tests.dashboard.scenes import CLASSES, Scene
from tests.dashboard.staging import staged
from tuner.spec.messages import OutcomeKind
from tuner.spec.views import StudyView
from tuner.store.engine import Database

# Address, heading, and what else a reader looks for there.
PATH = (
    ("/", "研究", ("新建研究", "设备用时", "运行中")),
    ("/new", "新建研究", ("提交", "执行计划", "采样器")),
    ("/studies/1", "camvid-street", ("优化历史", "学习曲线", "最优配置", "参数与结果", "时间线")),
    ("/studies/1?analysis=sources&relation=ranks", "camvid-street", ("由采样器抽取", "双参数排名")),
    ("/studies/1?analysis=survival&relation=slices", "camvid-street", ("梯级存活", "切片")),
    ("/studies/1/trials/1", "试验 1", ("验证图像", "混淆矩阵", "召回率", "日志")),
    ("/studies/1/images", "同一批图像在各试验中的结果", ("真值", "预测")),
    ("/compare?trials=1:0,1:1", "对比试验", ("各类别 IoU", "最后一轮的指标")),
    ("/workers", "工作进程", ("心跳", "排空")),
    ("/queue", "队列", ("为何尚未运行", "优先级")),
)
# What people type or the server stores is the same in every language.
NAMES = frozenset(
    {
        *("segtune", "English", "YAML", "JSON", "NVIDIA", "cuda", "node", "pool", "night"),
        *("camvid", "street", "synthetic"),  # a study and its data
        *("random", "none", "asha", "deeplabv", "plus", "resnet"),  # components
        *("Ctrl", "Enter", "Escape", "Shift"),  # keys
        *("miou", "worst", "pixel", "accuracy", "train", "loss"),  # metrics
        *CLASSES,
    }
)
_WORD = re.compile(r"[A-Za-z]{4,}")
# Texts that are seen, but for code, names of params and their values, and provenance.
_SEEN = """() => {
    const own = 'code, pre, kbd, script, style, textarea, noscript, option, a[download], .path, '
        + '.recipe, .relation, #relations-axes, #importance th, #provenance, #params, .differs, '
        + '#trials td, #trials thead a[title*="."]';
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [document.title];
    while (walk.nextNode()) {
        const parent = walk.currentNode.parentElement;
        if (!parent.closest(own) && parent.checkVisibility()) found.push(walk.currentNode.data);
    }
    for (const element of document.querySelectorAll('[aria-label], [alt]'))
        if (!element.closest(own))
            found.push(element.getAttribute('aria-label') ?? element.alt);
    return found;
}"""


@pytest.fixture
def scene(server: str, db: Database, settings: Settings) -> Scene:
    """A study with trials in several states, pictures of two, and one that runs."""
    return Scene(db, _in_several_states(db, settings=settings))


@staged
def _in_several_states(db: Database, *, settings: Settings) -> StudyView:
    scene = Scene.submit(db, pruner="asha")
    for quality in (0.4, 0.8):
        work = scene.take()
        scene.report(work, *range(1, 13))
        pictures.hand_in(scene, settings, work, 12, quality=quality)
        scene.finish(work, OutcomeKind.COMPLETED, 12)
    return scene.play(4, running=1).study


def english(page: Page) -> set[str]:
    """English words that a reader sees."""
    return {word for text in page.evaluate(_SEEN) for word in _WORD.findall(text)} - NAMES


def test_the_main_path_is_chinese(server: str, scene: Scene, windows: Windows) -> None:
    """To a browser that asks for it; what stays English is what is typed or stored."""
    visit = windows.open(locale="zh-CN")
    page = visit.page
    left = {}
    for address, heading, said in PATH:
        page.goto(server + address)
        expect(page.locator("html")).to_have_attribute("lang", "zh")
        expect(page.locator("h1")).to_contain_text(heading)
        for text in said:
            expect(page.get_by_text(text).first).to_be_attached()
        if found := english(page):
            left[address] = sorted(found)

    assert left == {}
    assert visit.complaints == []


def test_a_refresh_and_a_chart_are_chinese(server: str, scene: Scene, windows: Windows) -> None:
    """What comes later says what the page said: partials, scripts and their charts."""
    visit = windows.open(locale="zh-CN")
    page = visit.page
    page.goto(f"{server}/studies/1")
    expect(page.locator("#pulse")).to_have_text("实时")
    with page.expect_response(re.compile("/partials/studies/1$")) as refreshed:
        scene.train()

    assert "学习曲线" in refreshed.value.text()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("显示快捷键")
    assert english(page) == set()
    assert visit.complaints == []


def test_the_language_is_chosen_by_hand(server: str, scene: Scene, windows: Windows) -> None:
    """The button in the header leads to the same page, and holds for the others."""
    visit = windows.open(locale="en-US")
    page = visit.page
    page.goto(f"{server}/studies/1?state=completed")
    page.get_by_role("button", name="中文").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    assert page.url.endswith("/studies/1?state=completed")

    page.get_by_role("link", name="队列").click()
    expect(page.locator("h1")).to_have_text("队列")

    page.get_by_role("button", name="English").click()
    expect(page.locator("h1")).to_have_text("Queue")
    assert visit.complaints == []
