"""Search engines. A new one is a file with its settings and its client, and its settings' name in `SearchEngine`."""

from typing import TypeAlias

from rest_react.search.bm25 import Bm25Settings
from rest_react.search.dense import DenseSettings
from rest_react.search.json_api import JsonSearchSettings
from rest_react.search.retrieval_server import HttpSearchSettings
from rest_react.search.web import DuckDuckGoSettings

SearchEngine: TypeAlias = Bm25Settings | DenseSettings | DuckDuckGoSettings | HttpSearchSettings | JsonSearchSettings
