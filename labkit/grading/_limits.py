"""What learners' code may use: the one place where these values stand."""

from dataclasses import dataclass

MIB = 1 << 20


@dataclass(frozen=True)
class Limits:
    """The most that one submission may use.

    call_s is for each cell, call and look at a name, without the time that the grader takes to answer
    questions; questions are the most in one of them. Each process may use processor_s seconds of the
    processor, memory_bytes of addresses, files of file_bytes, and open_files; all together are at most
    processes, their threads counted. The container has home_bytes and home_files for all files,
    container_bytes of memory (files included), container_processes and processors.
    """

    call_s: float = 10.0
    questions: int = 10_000
    processor_s: int = 120
    memory_bytes: int = 1024 * MIB
    file_bytes: int = 16 * MIB
    open_files: int = 128
    processes: int = 64
    home_bytes: int = 64 * MIB
    home_files: int = 4096
    container_bytes: int = 1536 * MIB
    container_processes: int = 160
    processors: float = 1.0
