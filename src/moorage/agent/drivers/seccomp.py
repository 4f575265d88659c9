"""Which system calls a container may make.

The rule: every call that the host's libseccomp knows is allowed, except those of the tables below, which are refused
with EPERM unless the container has the capability that they belong to. Calls that libseccomp does not know yet are
answered ENOSYS, as on an older kernel, so that programs fall back.

For crun the filter is compiled once, into a search tree, and handed over ready in an annotation: compiling some 470
rules anew would cost each start several milliseconds, and a linear filter every system call some of its speed.
"""

from __future__ import annotations

import base64
import ctypes
import ctypes.util
import errno
import functools
import os
import platform
from collections.abc import Sequence
from typing import Final

from moorage.agent.drivers import oci

BPF_ANNOTATION: Final = "run.oci.seccomp_bpf_data"
ANNOTATIONS: Final = frozenset({BPF_ANNOTATION})

# By capability: what it alone makes harmless. Several capabilities may open the same call.
_GUARDED: Final = {
    "CAP_SYS_ADMIN": "bpf fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie mount mount_setattr move_mount "
    "open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare "
    "lsm_set_self_attr statmount listmount listns open_tree_attr",
    "CAP_BPF": "bpf",
    "CAP_PERFMON": "perf_event_open",
    "CAP_SYSLOG": "syslog",
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module finit_module init_module",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise",
    "CAP_SYS_RAWIO": "ioperm iopl",
    "CAP_SYS_TIME": "clock_settime clock_settime64 settimeofday stime",
    "CAP_SYS_TTY_CONFIG": "vhangup",
}


def _words(text: str) -> list[str]:
    return text.split()


# Never: not namespaced (keys, swap, kexec), without use in a container, or again and again a way out (io_uring).
_REFUSED: Final = _words(
    "_sysctl add_key create_module get_kernel_syms io_uring_enter io_uring_register io_uring_setup kexec_file_load "
    "kexec_load keyctl migrate_pages move_pages nfsservctl pivot_root query_module request_key swapoff swapon sysfs "
    "userfaultfd uselib ustat vm86 vm86old"
)
_BY_ARGUMENT: Final = {"clone", "clone3", "personality", "socket"}

_NEW_NAMESPACE_FLAGS: Final = (1 << 17, 1 << 25, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30)
_PERSONALITIES: Final = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)  # Linux, 32-bit, uname 2.6, both; ask
_AF_ALG: Final = 38  # kernel crypto: a record of holes
_AF_VSOCK: Final = 40  # not namespaced: leads to the hypervisor

_ARCHITECTURES: Final = {
    "x86_64": (("SCMP_ARCH_X86_64", 0xC000003E), ("SCMP_ARCH_X86", 0x40000003)),
    "aarch64": (("SCMP_ARCH_AARCH64", 0xC00000B7), ("SCMP_ARCH_ARM", 0x40000028)),
}
_NUMBERS_MAX: Final = 600  # the tables of today's architectures end near 470
_ACTIONS: Final = {"SCMP_ACT_ALLOW": 0x7FFF0000, "SCMP_ACT_ERRNO": 0x00050000}
_OPERATORS: Final = {"SCMP_CMP_LT": 2, "SCMP_CMP_EQ": 4, "SCMP_CMP_GT": 6, "SCMP_CMP_MASKED_EQ": 7}
_ATTRIBUTE_OPTIMIZE: Final = 8
_SEARCH_TREE: Final = 2


class _Comparison(ctypes.Structure):
    _fields_ = [
        ("arg", ctypes.c_uint),
        ("op", ctypes.c_int),
        ("datum_a", ctypes.c_uint64),
        ("datum_b", ctypes.c_uint64),
    ]


@functools.cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(ctypes.util.find_library("seccomp") or "libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_syscall_resolve_num_arch.restype = ctypes.c_void_p
    return library


@functools.cache
def _known_calls() -> frozenset[str]:
    """The names of all system calls of this host's architecture and its 32-bit sibling."""
    library, libc = _library(), ctypes.CDLL(None)
    names = set()
    for _, token in _ARCHITECTURES[platform.machine()]:
        for number in range(_NUMBERS_MAX):
            address = library.seccomp_syscall_resolve_num_arch(ctypes.c_uint32(token), ctypes.c_int(number))
            if address:
                names.add(ctypes.string_at(address).decode())
                libc.free(ctypes.c_void_p(address))
    return frozenset(names)


@functools.cache
def profile(granted: tuple[str, ...]) -> oci.Seccomp:
    """The profile of a container with these capabilities, for a runtime that compiles it itself."""
    opened = {name for cap in granted for name in _GUARDED.get(cap, "").split()}
    refused = ({name for names in _GUARDED.values() for name in names.split()} | set(_REFUSED)) - opened
    allowed = _known_calls() - refused - _BY_ARGUMENT
    rules = [
        _allow(sorted(allowed)),
        _refuse(sorted(refused & _known_calls()), errno.EPERM),
        *_socket_rules(),
        *(_allow(["personality"], _argument("EQ", value)) for value in _PERSONALITIES),
        *_clone_rules("CAP_SYS_ADMIN" in granted),
    ]
    return oci.Seccomp(
        default_action="SCMP_ACT_ERRNO",
        default_errno_ret=errno.ENOSYS,
        architectures=tuple(name for name, _ in _ARCHITECTURES[platform.machine()]),
        syscalls=tuple(rules),
    )


def _socket_rules() -> list[oci.SeccompRule]:
    return [
        _allow(["socket"], _argument("LT", _AF_ALG)),
        _allow(["socket"], _argument("EQ", _AF_ALG + 1)),
        _allow(["socket"], _argument("GT", _AF_VSOCK)),
        _refuse(["socket"], errno.EPERM, _argument("EQ", _AF_ALG)),
        _refuse(["socket"], errno.EPERM, _argument("EQ", _AF_VSOCK)),
    ]


def _clone_rules(may_make_namespaces: bool) -> list[oci.SeccompRule]:
    if may_make_namespaces:
        return [_allow(["clone", "clone3"])]
    mask = sum(_NEW_NAMESPACE_FLAGS)
    # A filter cannot look into clone3's structure; told ENOSYS (the default), the C library takes clone instead.
    return [
        _allow(["clone"], _argument("MASKED_EQ", mask, 0)),
        *(_refuse(["clone"], errno.EPERM, _argument("MASKED_EQ", flag, flag)) for flag in _NEW_NAMESPACE_FLAGS),
    ]


def _argument(operator: str, value: int, value_two: int = 0) -> oci.SeccompArgument:
    return oci.SeccompArgument(index=0, op=f"SCMP_CMP_{operator}", value=value, value_two=value_two)


def _allow(names: Sequence[str], *arguments: oci.SeccompArgument) -> oci.SeccompRule:
    return oci.SeccompRule(names=tuple(names), action="SCMP_ACT_ALLOW", args=arguments)


def _refuse(names: Sequence[str], code: int, *arguments: oci.SeccompArgument) -> oci.SeccompRule:
    return oci.SeccompRule(names=tuple(names), action="SCMP_ACT_ERRNO", errno_ret=code, args=arguments)


@functools.cache
def compiled(granted: tuple[str, ...]) -> str:
    """The profile as the kernel takes it, in base 64: the value of crun's annotation."""
    wanted, library = profile(granted), _library()
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_action(wanted.default_action, errno.ENOSYS))))
    try:
        for _, token in _ARCHITECTURES[platform.machine()][1:]:
            _checked(library.seccomp_arch_add(context, ctypes.c_uint32(token)), "architecture")
        _checked(
            library.seccomp_attr_set(context, ctypes.c_int(_ATTRIBUTE_OPTIMIZE), ctypes.c_uint32(_SEARCH_TREE)),
            "tree",
        )
        for rule in wanted.syscalls:
            _add_rule(library, context, rule)
        fd = os.memfd_create("seccomp")
        with open(fd, "rb") as file:
            _checked(library.seccomp_export_bpf(context, ctypes.c_int(fd)), "export")
            file.seek(0)
            return base64.b64encode(file.read()).decode()
    finally:
        library.seccomp_release(context)


def _add_rule(library: ctypes.CDLL, context: ctypes.c_void_p, rule: oci.SeccompRule) -> None:
    action = ctypes.c_uint32(_action(rule.action, rule.errno_ret))
    comparisons = (_Comparison * len(rule.args))(
        *(_Comparison(each.index, _OPERATORS[each.op], each.value, each.value_two) for each in rule.args)
    )
    for name in rule.names:
        number = library.seccomp_syscall_resolve_name(name.encode())
        result = library.seccomp_rule_add_array(
            context, action, ctypes.c_int(number), ctypes.c_uint(len(rule.args)), comparisons
        )
        _checked(result, name)


def _action(name: str, code: int | None) -> int:
    return _ACTIONS[name] | (code or 0)


def _checked(result: int, what: str) -> None:
    if result < 0:
        raise OSError(-result, os.strerror(-result), f"seccomp: {what}")
