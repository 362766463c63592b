"""What of a MuJoCo model is drawn: triangle meshes of each body, made light enough for a browser."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import mujoco
import numpy as np
import trimesh
from numpy.typing import NDArray

from poise.robots.types import Array

Faces = NDArray[np.int64]
Colour = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class BodyMesh:
    """Triangles of one colour fixed to a body."""

    body: int
    colour: Colour
    vertices: Array  # (k, 3) m, body frame
    faces: Faces  # (m, 3)


def body_meshes(model: mujoco.MjModel, cell_m: float = 0.005) -> list[BodyMesh]:
    """One mesh for each body and colour of its visual geometry; planes are left out.

    A body's visual geometry is what takes no part in collisions, or all of it where everything collides.

    Args:
        cell_m: vertices closer than this become one; what is smaller cannot be seen.
    """
    parts: dict[tuple[int, Colour], list[trimesh.Trimesh]] = defaultdict(list)
    for body in range(model.nbody):
        first, count = int(model.body_geomadr[body]), int(model.body_geomnum[body])
        geoms = [g for g in range(first, first + count) if model.geom_type[g] != mujoco.mjtGeom.mjGEOM_PLANE]
        visual = [g for g in geoms if not model.geom_contype[g] and not model.geom_conaffinity[g]]
        for geom in visual or geoms:
            parts[body, _colour(model, geom)].append(_geom_mesh(model, geom, cell_m))
    return [BodyMesh(body, colour, *_join(meshes)) for (body, colour), meshes in parts.items()]


def _join(meshes: list[trimesh.Trimesh]) -> tuple[Array, Faces]:
    offsets = np.cumsum([0, *(len(mesh.vertices) for mesh in meshes[:-1])])
    faces = [np.asarray(mesh.faces) + offset for mesh, offset in zip(meshes, offsets, strict=True)]
    return np.concatenate([np.asarray(mesh.vertices) for mesh in meshes]), np.concatenate(faces)


def _colour(model: mujoco.MjModel, geom: int) -> Colour:
    material = int(model.geom_matid[geom])
    rgba = model.mat_rgba[material] if material >= 0 else model.geom_rgba[geom]
    red, green, blue = (int(round(255 * float(channel))) for channel in rgba[:3])
    return red, green, blue


def _geom_mesh(model: mujoco.MjModel, geom: int, cell_m: float) -> trimesh.Trimesh:
    """The geometry of one geom, in its body's frame."""
    size, kind = model.geom_size[geom], model.geom_type[geom]
    shapes = mujoco.mjtGeom
    if kind == shapes.mjGEOM_MESH:
        mesh = trimesh.Trimesh(*cluster(*_asset(model, int(model.geom_dataid[geom])), cell_m), process=False)
    elif kind == shapes.mjGEOM_HFIELD:
        mesh = trimesh.Trimesh(*_heightfield(model, int(model.geom_dataid[geom])), process=False)
    elif kind == shapes.mjGEOM_BOX:
        mesh = trimesh.creation.box(extents=2 * size)
    elif kind == shapes.mjGEOM_CAPSULE:
        mesh = trimesh.creation.capsule(height=2 * size[1], radius=size[0], count=(12, 12))
    elif kind == shapes.mjGEOM_CYLINDER:
        mesh = trimesh.creation.cylinder(height=2 * size[1], radius=size[0], sections=24)
    else:
        mesh = trimesh.creation.icosphere(subdivisions=2)
        mesh.apply_scale(size if kind == shapes.mjGEOM_ELLIPSOID else size[0])
    rotation = np.zeros(9)
    mujoco.mju_quat2Mat(rotation, model.geom_quat[geom])
    mesh.vertices = mesh.vertices @ rotation.reshape(3, 3).T + model.geom_pos[geom]
    return mesh


def _asset(model: mujoco.MjModel, mesh: int) -> tuple[Array, Faces]:
    vertex, face = int(model.mesh_vertadr[mesh]), int(model.mesh_faceadr[mesh])
    vertices = model.mesh_vert[vertex : vertex + int(model.mesh_vertnum[mesh])].astype(float)
    return vertices, model.mesh_face[face : face + int(model.mesh_facenum[mesh])].astype(np.int64)


def _heightfield(model: mujoco.MjModel, field: int) -> tuple[Array, Faces]:
    rows, columns, start = int(model.hfield_nrow[field]), int(model.hfield_ncol[field]), int(model.hfield_adr[field])
    half_x, half_y, height, _ = model.hfield_size[field]
    x, y = np.meshgrid(np.linspace(-half_x, half_x, columns), np.linspace(-half_y, half_y, rows))
    vertices = np.column_stack([x.ravel(), y.ravel(), height * model.hfield_data[start : start + rows * columns]])
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)).ravel()
    lower = np.column_stack([corner, corner + 1, corner + columns + 1])
    upper = np.column_stack([corner, corner + columns + 1, corner + columns])
    return vertices, np.concatenate([lower, upper])


def cluster(vertices: Array, faces: Faces, cell_m: float) -> tuple[Array, Faces]:
    """Decimate by vertex clustering: all vertices of a grid cell become their mean; collapsed triangles go.

    Reference: J. Rossignac, P. Borrel, Multi-resolution 3D approximations for rendering complex scenes (1993).
    """
    _, owner, count = np.unique(np.floor(vertices / cell_m).astype(np.int64), axis=0, return_inverse=True, return_counts=True)
    owner = owner.ravel()
    means = np.column_stack([np.bincount(owner, weights=vertices[:, axis]) for axis in range(3)]) / count[:, None]
    moved = owner[faces]
    whole = (moved[:, 0] != moved[:, 1]) & (moved[:, 1] != moved[:, 2]) & (moved[:, 2] != moved[:, 0])
    kept = moved[whole]
    _, first = np.unique(np.sort(kept, axis=1), axis=0, return_index=True)
    return means, kept[np.sort(first)]
