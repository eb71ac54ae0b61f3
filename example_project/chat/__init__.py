"""A chat, once as a plain Channels consumer and once as a resilient one."""
