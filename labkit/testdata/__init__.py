"""Test data: generate what looks like production, survey a database, obscure it, cut it down, audit it.

Databases are given by their libpq URL. What is personal never leaves by accident: a policy names a rule for
every column, and a column without one stops the work.
"""
