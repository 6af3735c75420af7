"""What a student's code may ask of the kernel: a filter that refuses the calls by which others have got out of boxes.

The child puts it on before it reads the student's code; it cannot be taken off, and every process that the code starts
has it. It also sets no-new-privs. `FILTERED` says on which machines there is one.
"""

import ctypes
import errno
import platform
import struct

NO_NEW_PRIVS, SET_SECCOMP, FILTER = 38, 22, 2
# refused, with their numbers on x86_64 and on aarch64 (-1: there is no such call)
REFUSED = {
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39),
    "pivot_root": (155, 41), "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89), "syslog": (103, 116),
    "quotactl": (179, 60), "settimeofday": (164, 170), "clock_settime": (227, 112), "iopl": (172, -1),
    "ioperm": (173, -1), "modify_ldt": (154, -1), "personality": (135, 92),
    # memory that outlives processes, or that no process seems to have
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "shmget": (29, 194), "semget": (64, 190),
    "msgget": (68, 186), "mq_open": (240, 180),
}  # fmt: skip
MACHINES = {"x86_64": (0xC000003E, 0, 56, 41), "aarch64": (0xC00000B7, 1, 220, 198)}  # its sign; place; clone; socket
FILTERED = platform.machine() in MACHINES and struct.calcsize("P") == 8
NEW_NAMESPACES = 0x7E020000  # any of clone's flags CLONE_NEW…
FAMILIES = (1, 2, 10)  # AF_UNIX, AF_INET, AF_INET6: all of a network that is closed anyway
CLONE3 = 435  # its flags lie in memory, where no filter sees them; libc then takes clone
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, MACHINE, FIRST = 0, 4, 16  # where they lie in what a filter sees
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000


def step(code: int, value: int, yes: int = 0, no: int = 0) -> bytes:
    """One instruction; `yes` and `no` say how many to leap over."""
    return struct.pack("HBBI", code, yes, no, value)


def instructions(machine: str) -> bytes:
    """The filter's program: where a line holds, the next one says what follows."""
    sign, place, clone, socket = MACHINES[machine]
    refuse, unknown = step(RETURN, REFUSE | errno.EPERM), step(RETURN, REFUSE | errno.ENOSYS)
    lines = [step(LOAD, MACHINE), step(EQUAL, sign, 1), step(RETURN, KILL)]
    lines += [step(LOAD, NUMBER), step(AT_LEAST, 1 << 30, 0, 1), unknown, step(EQUAL, CLONE3, 0, 1), unknown]
    for numbers in REFUSED.values():
        lines += [step(EQUAL, numbers[place], 0, 1), refuse] if numbers[place] >= 0 else []
    lines += [step(EQUAL, clone, 0, 3), step(LOAD, FIRST), step(ANY_BIT, NEW_NAMESPACES, 0, 1), refuse]
    lines += [step(LOAD, NUMBER), step(EQUAL, socket, 0, 2 + len(FAMILIES)), step(LOAD, FIRST)]
    lines += [step(EQUAL, family, len(FAMILIES) - n) for n, family in enumerate(FAMILIES)]
    return b"".join([*lines, refuse, step(RETURN, ALLOW)])


def put_on() -> None:
    """From here on, for this process and all that it starts. Where there is no filter, only no-new-privs is set."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no-new-privs cannot be set")
    if not FILTERED:
        return
    code = instructions(platform.machine())
    held = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("HP", len(code) // 8, ctypes.addressof(held)))
    if libc.prctl(SET_SECCOMP, FILTER, program, 0, 0):
        raise OSError(ctypes.get_errno(), "the filter of system calls cannot be set")
