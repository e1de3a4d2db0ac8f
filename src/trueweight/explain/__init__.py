"""Why a model answers as it does, each explanation with the checks that it has to pass before anybody sees it."""
