"""Generators of the reference pages and the record schema (`make generated`); not in the wheel."""

from probe import i18n

i18n.use("en")  # generated pages do not depend on the language of the machine
