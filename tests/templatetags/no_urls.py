"""The addresses of a site that includes none of ours."""

urlpatterns: list[object] = []
