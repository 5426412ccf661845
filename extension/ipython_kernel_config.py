"""Every kernel of the environment that labkit is installed in loads its extension (labkit/_kernel.py)."""

c = get_config()  # noqa: F821 - IPython gives it
c.InteractiveShellApp.extensions.append("labkit._kernel")
