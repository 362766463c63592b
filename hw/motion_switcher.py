"""The motion switcher of a Unitree robot: which of its own motion programs has the motors, and how it is made to let go of them.

A call is a request on one topic and a response with the same number on another; what it is about is a number, its result a number and JSON.

Source: the names and numbers, unitree_api's Request_ and Response_ and the MotionSwitcherClient of Unitree's unitree_sdk2.
"""

from __future__ import annotations

import json
import time
from typing import Any

from poise.robots import PoiseError

from .dds import Bus

from cyclonedds.core import InstanceState, ReadCondition, SampleState, ViewState, WaitSet  # isort: skip
from cyclonedds.idl import make_idl_struct, types
from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

REQUEST_TOPIC, RESPONSE_TOPIC = "rt/api/motion_switcher/request", "rt/api/motion_switcher/response"
CHECK_MODE, SELECT_MODE, RELEASE_MODE = 1001, 1002, 1003
DONE, UNKNOWN_API = 0, 3203
PATIENCE_S = 2.0
_BYTES: Any = types.sequence[types.byte]  # type: ignore[misc]


def _struct(name: str, fields: dict[str, Any]) -> Any:
    return make_idl_struct(name, f"unitree_api.msg.dds_.{name}", fields)


Identity = _struct("RequestIdentity_", {"id": types.int64, "api_id": types.int64})
Lease = _struct("RequestLease_", {"id": types.int64})
Priority = _struct("RequestPolicy_", {"priority": types.int32, "noreply": bool})
RequestHeader = _struct("RequestHeader_", {"identity": Identity, "lease": Lease, "policy": Priority})
Request = _struct("Request_", {"header": RequestHeader, "parameter": str, "binary": _BYTES})
Status = _struct("ResponseStatus_", {"code": types.int32})
ResponseHeader = _struct("ResponseHeader_", {"identity": Identity, "status": Status})
Response = _struct("Response_", {"header": ResponseHeader, "data": str, "binary": _BYTES})


class MotionSwitcher:
    """The robot's side: its own motion program has the motors until it is released.

    Attributes:
        mode: name of the program that has the motors; empty where none has.
    """

    def __init__(self, bus: Bus, mode: str) -> None:
        self.mode = mode
        self._requests: Any = DataReader(bus.participant, Topic(bus.participant, REQUEST_TOPIC, Request))
        self._responses: Any = DataWriter(bus.participant, Topic(bus.participant, RESPONSE_TOPIC, Response))

    def serve(self) -> None:
        """Answer what has been asked."""
        for request in self._requests.take(8):
            if request.sample_info.valid_data:
                identity = request.header.identity
                code, data = self._answer(int(identity.api_id), request.parameter)
                self._responses.write(Response(ResponseHeader(identity, Status(code)), data, []))

    def _answer(self, api: int, parameter: str) -> tuple[int, str]:
        if api == CHECK_MODE:
            return DONE, json.dumps({"form": "0", "name": self.mode})
        if api == RELEASE_MODE:
            self.mode = ""
            return DONE, ""
        return UNKNOWN_API, ""


class MotionSwitcherClient:
    """The side of who wants the motors."""

    def __init__(self, bus: Bus) -> None:
        self._requests: Any = DataWriter(bus.participant, Topic(bus.participant, REQUEST_TOPIC, Request))
        self._responses: Any = DataReader(bus.participant, Topic(bus.participant, RESPONSE_TOPIC, Response))
        self._waiting = WaitSet(bus.participant)
        self._new = ReadCondition(self._responses, SampleState.NotRead | ViewState.Any | InstanceState.Any)
        self._waiting.attach(self._new)

    def mode(self) -> str:
        """Which of the robot's own motion programs has the motors; empty where none has.

        Raises:
            PoiseError: the robot does not answer, or refuses.
        """
        data = json.loads(self._call(CHECK_MODE) or "{}")
        return str(data.get("name", ""))

    def release(self) -> None:
        """Make it let go of them.

        Raises:
            PoiseError: the robot does not answer, or refuses.
        """
        self._call(RELEASE_MODE)

    def _call(self, api: int) -> str:
        number, end = time.monotonic_ns(), time.monotonic() + PATIENCE_S
        request = Request(RequestHeader(Identity(number, api), Lease(0), Priority(0, False)), "", [])
        while (left := end - time.monotonic()) > 0.0:
            self._requests.write(request)  # again and again: the robot may not know yet that somebody asks
            self._waiting.wait(round(1e9 * min(left, 0.2)))
            for response in self._responses.take(8):
                if response.sample_info.valid_data and response.header.identity.id == number:
                    return _data(response, api)
        raise PoiseError(f"the robot's motion switcher does not answer within {PATIENCE_S:g} s; see that it is on, and on this interface")


def _data(response: Any, api: int) -> str:
    code = int(response.header.status.code)
    if code != DONE:  # who has the motors is not known then
        raise PoiseError(f"the robot's motion switcher refuses request {api} with code {code}; see which program it runs, by its remote")
    return str(response.data)
