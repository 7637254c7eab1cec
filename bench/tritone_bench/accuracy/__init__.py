"""How right the words of the running service are, how soon they come and what they cost, beside an offline peer."""
