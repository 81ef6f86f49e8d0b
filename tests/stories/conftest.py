"""Stories are told of the same installation the tests of the application work on."""

from tests.app import conftest

config = conftest.config
