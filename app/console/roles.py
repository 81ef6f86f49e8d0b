"""Who may do what in the console: the groups of roles that views name."""

EVERYONE = ("admin", "marketer", "analyst", "store")
READ = ("admin", "marketer", "analyst")
CHANGE = ("admin", "marketer")
ADMIN = ("admin",)
