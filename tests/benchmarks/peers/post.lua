-- The token request, for wrk.
wrk.method = "POST"
wrk.body = "grant_type=client_credentials&scope=" .. os.getenv("SCOPE")
wrk.headers["Content-Type"] = "application/x-www-form-urlencoded"
wrk.headers["Authorization"] = "Basic bXktY2xpZW50Om15LXNlY3JldA=="
