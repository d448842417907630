"""Types that settings are declared with: numbers with bounds, names, and how a model is asked.

    in_flight: Count        # a whole number above 0; pydantic refuses others, with the setting's path

A client's settings are a frozen dataclass beside the client, without defaults: the values are in configs/*.yaml.
Not here: settings themselves.
"""

from typing import Annotated, Literal, TypeAlias

from annotated_types import Ge, Gt, Interval, MinLen

Share: TypeAlias = Annotated[float, Interval(ge=0, le=1)]
Count: TypeAlias = Annotated[int, Gt(0)]
NotNegative: TypeAlias = Annotated[int, Ge(0)]
Positive: TypeAlias = Annotated[float, Gt(0)]
Name: TypeAlias = Annotated[str, MinLen(1)]
Temperature: TypeAlias = Annotated[float, Interval(ge=0, le=2)]
Mode: TypeAlias = Literal["chat", "completion"]
SystemTurn: TypeAlias = bool | Literal["auto"]
OPENAI_URL = "https://api.openai.com/v1"  # what base_url null stands for
