"""The Docker Engine API over HTTP: parse, call the engine, render. No logic lives here.

daemon, flags          the process `dockwrightd` and its command line
server, router         sockets and dispatch          versions, errors     gates and statuses, each in one table
call                   one request as a route sees it hijack, websocket    connections taken over for streams
routes/                one file per family of paths   render/              the wire's shapes
"""
