"""Does: the nouns of the platform as frozen records, and the tables of what may follow what.
May import: base.
Does not: decide, store or serve anything.
"""
