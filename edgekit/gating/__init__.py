"""One gate over the results of evaluate, bench, inspect and compress: the rule table, and what CI systems read."""
