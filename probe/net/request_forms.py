"""How a plain http request is written: as a browser does, or otherwise, without I/O.

A filter that looks for bytes of a request meets only one way to write it. Each form differs from a
browser's request in one thing that servers accept (RFC 9110, RFC 9112), or may at least answer.
"""

from probe.experiments.operations import RequestForm

_HEADER = b"\r\nHost: "
_SPELLED: dict[RequestForm, bytes] = {
    "lower_case": b"\r\nhost: ",
    "upper_case": b"\r\nHOST: ",
    "no_space": b"\r\nHost:",
    "space": b"\r\nHost:  ",
    "tab": b"\r\nHost:\t",
}


def method(form: RequestForm) -> bytes:
    """The method of the request."""
    return b"HEAD" if form == "head" else b"GET"


def host_value(form: RequestForm, host: str) -> str:
    """The value of the Host header for a host, with its port if it is not the usual one."""
    name, colon, port = host.partition(":") if not host.startswith("[") else (host, "", "")
    match form:
        case "name_case":
            return name.upper() + colon + port
        case "dot":
            return f"{name}.{colon}{port}"
        case "port":
            return host if colon else f"{host}:80"
    return host


def written(form: RequestForm, request: bytes) -> tuple[bytes, ...]:
    """The segments of a request that was written as a browser does."""
    begin = request.find(_HEADER)
    if form == "default" or begin < 0:
        return (request,)
    value = begin + len(_HEADER)
    end = request.index(b"\r\n", value)
    if form in _SPELLED:
        return (request[:begin] + _SPELLED[form] + request[value:],)
    match form:
        case "last":
            return (request[:begin] + request[end:-4] + request[begin:end] + b"\r\n\r\n",)
        case "second_segment":
            cut = begin
        case "split":
            cut = value + len(request[value:end].partition(b":")[0]) // 2
        case "absolute":
            line = request[:begin].replace(b" /", b" http://" + request[value:end] + b"/", 1)
            return (line + request[begin:],)
        case _:
            return (request,)
    return request[:cut], request[cut:]
