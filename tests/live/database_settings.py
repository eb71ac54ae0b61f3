"""Django settings of the live application that has a database."""

import json
import os

from live.settings import *  # noqa: F403

INSTALLED_APPS = ["django.contrib.contenttypes", "channels", "resilient_channels"]
ROOT_URLCONF = "live.database_application"
ALLOWED_HOSTS = ["*"]
DATABASES = {"default": json.loads(os.environ["DATABASE"])}
