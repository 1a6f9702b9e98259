"""The verbs, one module each: options in, one call of the API, text out."""
