"""`run` and `create`: their options, and how each syntax becomes its part of the API's create request.

container_flags     the table of options
assemble            options -> Config, HostConfig and NetworkingConfig
ports, mounts, networks, devices, limits, environment, health, security, hosts
                    one syntax each: text in, a piece of the request out, `ValueError` with Docker's words
"""
