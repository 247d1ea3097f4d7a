"""One module a layout: ``read(file, path)`` makes sense of an open file, or returns None when it has another layout."""
