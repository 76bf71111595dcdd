"""Both builds of the codecs side by side: whatever arrives, they must say the same.

``compare`` asks two objects the same questions, ``codecs`` knows the questions of each codec, ``targets`` turns bytes
into a conversation, ``mutate`` makes bytes worth trying, ``__main__`` tries them. ``tests/equivalence`` has hypothesis
ask through the same two modules.
"""
