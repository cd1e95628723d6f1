"""Chinese names with English ones beside them, each given once."""

from __future__ import annotations

from geodata.network import RoadClass
from geodata.synthetic.streams import stream


def _pairs(text: str) -> dict[str, str]:
    return {chinese: latin for chinese, _, latin in (pair.partition(":") for pair in text.split())}


FIRST = _pairs(
    "文:Wen 长:Chang 永:Yong 安:An 和:He 兴:Xing 金:Jin 玉:Yu 云:Yun 清:Qing 福:Fu 德:De 荣:Rong 广:Guang 宝:Bao "
    "景:Jing 明:Ming 瑞:Rui 春:Chun 秋:Qiu 松:Song 竹:Zhu 梅:Mei 桂:Gui 柳:Liu 枫:Feng 银:Yin 石:Shi 龙:Long "
    "凤:Feng 鹤:He 望:Wang 朝:Chao 仁:Ren 义:Yi 礼:Li 信:Xin 学:Xue 书:Shu 翠:Cui 碧:Bi 锦:Jin 星:Xing 月:Yue 新:Xin "
    "建:Jian 振:Zhen 天:Tian "
)
SECOND = _pairs(
    "昌:chang 安:an 宁:ning 泰:tai 华:hua 明:ming 阳:yang 山:shan 泉:quan 园:yuan 林:lin 溪:xi 桥:qiao 塘:tang "
    "湾:wan 坪:ping 苑:yuan 峰:feng 和:he 庆:qing 康:kang 平:ping 丰:feng 盛:sheng 岭:ling 湖:hu 江:jiang 洲:zhou "
    "田:tian 井:jing 台:tai 亭:ting 庭:ting 光:guang 辉:hui 府:fu "
)
MAIN = {
    "ring": ("云江绕城高速", "Yunjiang Ring Expressway"),
    "airport expressway": ("机场高速", "Airport Expressway"),
    "west expressway": ("云西高速", "Yunxi Expressway"),
    "south expressway": ("云江南高速", "Southern Expressway"),
    "north expressway": ("云北高速", "Yunbei Expressway"),
    "east expressway": ("云东高速", "Yundong Expressway"),
    "airport road": ("航站路", "Terminal Road"),
    "row 0": ("云江大道", "Yunjiang Avenue"),
    "row 3150": ("长虹大道", "Changhong Avenue"),
    "row -3350": ("南湖大道", "Nanhu Avenue"),
    "row 1550": ("北城路", "Beicheng Road"),
    "row -1700": ("南门路", "Nanmen Road"),
    "column 600": ("钟楼路", "Zhonglou Road"),
    "column 2000": ("东城路", "Dongcheng Road"),
    "column 4850": ("车站路", "Chezhan Road"),
    "column -3200": ("书院路", "Shuyuan Road"),
    "east bank": ("滨江东路", "Binjiang East Road"),
    "west bank": ("滨江西路", "Binjiang West Road"),
    "south-east avenue": ("工业大道", "Gongye Avenue"),
    "north-west avenue": ("科技大道", "Keji Avenue"),
    "outer loop": ("环乡公路", "Huanxiang Highway"),
    "airport perimeter": ("空港环路", "Konggang Ring Road"),
    "airport link": ("空港路", "Konggang Road"),
    "island": ("洲心路", "Zhouxin Road"),
}
"""Of the roads that the plan names."""
ROAD_KINDS = {
    RoadClass.EXPRESSWAY: ("快速路", "Expressway"),
    RoadClass.ARTERIAL: ("大道", "Avenue"),
    RoadClass.COLLECTOR: ("路", "Road"),
    RoadClass.LOCAL: ("街", "Street"),
}
DIGITS = "零一二三四五六七八九"


class Names:
    """Hands out names, none twice, in an order drawn from the seed; the same key gets the same name again."""

    def __init__(self, seed: int, purpose: str) -> None:
        pairs = [(a, b) for a in FIRST for b in SECOND if a != b and FIRST[a].lower() != SECOND[b]]
        order = stream(seed, f"names of {purpose}").permutation(len(pairs))
        self._free = [pairs[i] for i in order.tolist()][::-1]
        self._given: dict[str, tuple[str, str]] = {}
        self._lanes: dict[str, dict[str, int]] = {}

    def stem(self, key: str) -> tuple[str, str]:
        """A two-character name and its romanisation."""
        if key not in self._given:
            first, second = self._free.pop()
            joint = "'" if SECOND[second][0] in "aeo" else ""
            self._given[key] = first + second, FIRST[first] + joint + SECOND[second]
        return self._given[key]

    def road(self, key: str, road_class: RoadClass | int) -> str:
        """The name of a road, Chinese and English in one; empty for an empty key."""
        if not key:
            return ""
        if key in MAIN:
            return " ".join(MAIN[key])
        block, _, number = key.partition("/")
        if road_class == RoadClass.LOCAL and number:
            # the lanes of a block are counted, as in many cities
            lanes = self._lanes.setdefault(block, {})
            lane = lanes.setdefault(key, len(lanes) + 1)
            name, latin = self.stem(block)
            return f"{name}{numeral(lane)}巷 {latin} Lane {lane}"
        name, latin = self.stem(key)
        kind, kind_en = ROAD_KINDS[RoadClass(road_class)]
        return f"{name}{kind} {latin} {kind_en}"


def numeral(n: int) -> str:
    """A number from 1 to 999 in Chinese."""
    hundreds, rest = divmod(n, 100)
    tens, ones = divmod(rest, 10)
    text = DIGITS[hundreds] + "百" if hundreds else ""
    if tens:
        text += "十" if tens == 1 and not hundreds else DIGITS[tens] + "十"
    elif hundreds and ones:
        text += DIGITS[0]
    return text + (DIGITS[ones] if ones else "")
