"""The blocks an e-mail is made of, as marketers write them: typed data, never HTML. The footer is always there."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from campaigns.definitions.shapes import Line, Shape, like

MOST = 30


def shown(text: str) -> str:
    """The text, if every letter of it can be seen."""
    if any(not (letter.isprintable() or letter in "\n\t") for letter in text):
        raise ValueError("holds a character that cannot be shown")
    return text


Text = Annotated[str, StringConstraints(max_length=10_000), AfterValidator(shown)]
Web = Annotated[str, like(r"(https?://|/)[^\s\x00-\x1f]{0,2000}", "must be a web address")]


class Header(Shape):
    """The shop's name, and beside it where to read the message in a browser."""

    type: Literal["header"]
    online: bool = True


class Written(Shape):
    """A heading and paragraphs, set apart by empty lines."""

    type: Literal["text"]
    heading: Text = ""
    body: Text = ""


class Image(Shape):
    """A picture; `alt` says what is on it, for who does not see it."""

    type: Literal["image"]
    url: Web
    alt: Line
    link: Web | None = None


class Button(Shape):
    """Where the message leads: `link`, else back to the cart or to the product."""

    type: Literal["button"]
    label: Line | None = None
    link: Web | None = None


class Question(Shape):
    """The answers of a survey, each a link."""

    type: Literal["question"]


class Product(Shape):
    """The product the message is about."""

    type: Literal["product"]


class Basket(Shape):
    """The cart's lines and what it comes to."""

    type: Literal["basket"]


class Products(Shape):
    """Products recommended for her, of the step's placement, three in a row. Several such blocks share them: `first` is
    where this one begins, `most` how many it takes; what an earlier block shows, none shows again."""

    type: Literal["products"]
    title: Line | None = None
    first: Annotated[int, Field(ge=1, le=12)] = 1
    most: Annotated[int, Field(ge=1, le=12)] | None = None


class Code(Shape):
    """Her promo code, drawn as bars for tills, as a square for telephones, or in letters alone."""

    type: Literal["code"]
    drawn: Literal["bars", "square", "letters"] = "bars"


class Reviews(Shape):
    """What others say of the products it is about."""

    type: Literal["reviews"]


class Store(Shape):
    """A place of sale, with its address, its hours, and a map: the one named, else her own (`shop.stores.hers`)."""

    type: Literal["store"]
    store: Annotated[str, StringConstraints(max_length=200)] = ""


Block = Annotated[
    Header | Written | Image | Button | Question | Product | Basket | Products | Code | Reviews | Store,
    Field(discriminator="type"),
]
Blocks = Annotated[tuple[Block, ...], Field(max_length=MOST)]

USUAL: tuple[Block, ...] = (
    Question(type="question"),
    Product(type="product"),
    Basket(type="basket"),
    Reviews(type="reviews"),
    Button(type="button"),
    Code(type="code"),
    Products(type="products"),
)
"""What follows the header and the text of a message whose blocks nobody chose; what has nothing to show is left out."""


@lru_cache(maxsize=1_024)
def usual(*, heading: str, body: str) -> tuple[Block, ...]:
    """The blocks of a message whose words alone were written."""
    return (Header(type="header"), Written(type="text", heading=heading, body=body), *USUAL)


def shares(blocks: Sequence[Block], n: int) -> dict[int, list[int]]:
    """Which of `n` recommended products each block of them shows, by the block's place; none is shown twice.

    A block takes as many as it says; those that say nothing share what the others leave, the first ones first.
    """
    takers = [(place, block) for place, block in enumerate(blocks) if isinstance(block, Products)]
    shown: dict[int, list[int]] = {}
    left = list(range(n))
    for turn, (place, block) in enumerate(takers):
        later = [other for _, other in takers[turn + 1 :]]
        mine = [number for number in left if number >= block.first - 1]
        kept = sum(other.most or 0 for other in later)
        open_ = 1 + sum(other.most is None for other in later)
        take = block.most if block.most is not None else -(-max(len(mine) - kept, 0) // open_)
        shown[place] = mine[:take]
        left = [number for number in left if number not in shown[place]]
    return shown


def texts(blocks: tuple[Block, ...]) -> Iterator[tuple[str, str]]:
    """Every text with merge fields in it, with its place among the blocks."""
    for number, block in enumerate(blocks):
        if isinstance(block, Written):
            yield f"{number}/heading", block.heading
            yield f"{number}/body", block.body
        elif isinstance(block, Button | Products):
            yield f"{number}/{'label' if isinstance(block, Button) else 'title'}", _label(block)


def _label(block: Button | Products) -> str:
    return (block.label if isinstance(block, Button) else block.title) or ""
