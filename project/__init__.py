"""The demo site: joins the Django site and the channel."""
