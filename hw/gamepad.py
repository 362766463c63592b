"""A gamepad as an operator, through SDL: any that SDL's own table knows, with the buttons of an Xbox's by their places."""

from __future__ import annotations

import os
from typing import Any

from poise.robots import Intent, PoiseError

from .operation import STILL, Buttons, Operated, Velocity, sticks

# Before SDL is loaded: no window, no banner, Ctrl-C is ours, and a pad is heard without a window that has the focus.
_SETTINGS = {
    "SDL_VIDEODRIVER": "dummy",
    "PYGAME_HIDE_SUPPORT_PROMPT": "1",
    "SDL_NO_SIGNAL_HANDLERS": "1",
    "SDL_JOYSTICK_ALLOW_BACKGROUND_EVENTS": "1",
}
os.environ.update(_SETTINGS)
try:
    import pygame
    from pygame._sdl2 import controller
except ImportError as error:
    raise PoiseError("the gamepad needs pygame: in the checkout, .venv/bin/pip install -e '.[teleop]'") from error

_STICKS = (pygame.CONTROLLER_AXIS_LEFTX, pygame.CONTROLLER_AXIS_LEFTY, pygame.CONTROLLER_AXIS_RIGHTX)
GONE = "no gamepad is heard: velocity zero"
FULL = 32767.0  # of an axis


class Gamepad:
    """Walks only while the right shoulder button is held: the left stick walks, the right one turns."""

    hint = "hold RB: left stick walks, right stick turns; Start: go on; Back: safe stop; B or circle: emergency stop"

    def __init__(self, most: Velocity) -> None:
        """Listen to every pad that is there or will be plugged in; with the largest velocity each way, m/s and rad/s."""
        pygame.display.init()
        controller.init()
        self._most, self._buttons = most, Buttons()
        self._pads: list[Any] = []  # those that are not held here fall silent
        self._let_go()

    def poll(self, now_s: float) -> Operated:
        """What was done with the pads since the last poll."""
        for event in pygame.event.get():
            self._take(event)
        lx, ly, rx = (self._axes.get(axis, 0.0) for axis in _STICKS)
        velocity = sticks(-ly, -lx, -rx, self._most) if self._enabled else STILL
        return self._buttons.told(Intent(velocity=velocity), "" if self._heard else GONE)

    def release(self) -> None:
        """Forget an emergency stop."""
        self._buttons.release()

    def close(self) -> None:
        """Let go of the pads."""
        self._pads.clear()
        controller.quit()
        pygame.display.quit()

    def _let_go(self) -> None:
        self._axes: dict[int, float] = {}  # from -1 to 1, to the right and down
        self._enabled = self._heard = False

    def _take(self, event: pygame.event.Event) -> None:
        kind = event.type
        if kind == pygame.CONTROLLERDEVICEADDED:
            self._open(event.device_index)
        elif kind == pygame.CONTROLLERDEVICEREMOVED:
            self._let_go()
        elif kind == pygame.CONTROLLERAXISMOTION:
            self._heard = True
            self._axes[event.axis] = event.value / FULL
        elif kind in (pygame.CONTROLLERBUTTONDOWN, pygame.CONTROLLERBUTTONUP):
            self._heard = True
            self._press(event.button, down=kind == pygame.CONTROLLERBUTTONDOWN)

    def _open(self, index: int) -> None:
        try:
            self._pads.append(controller.Controller(index))
        except RuntimeError:  # SDL's: it is gone again
            return
        self._heard = True

    def _press(self, button: int, down: bool) -> None:
        if button == pygame.CONTROLLER_BUTTON_RIGHTSHOULDER:
            self._enabled = down
        elif down and button == pygame.CONTROLLER_BUTTON_B:
            self._buttons.stop()
        elif down and button == pygame.CONTROLLER_BUTTON_START:
            self._buttons.go_on()
        elif down and button == pygame.CONTROLLER_BUTTON_BACK:
            self._buttons.ask("safe stop")
