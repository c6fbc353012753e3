"""Stages on file systems that refuse things, simulated by a library between Python and the system.

It refuses calls on paths below `project`, as some network, FAT and user-space file systems do.
"""

import errno
import os
import shutil
import subprocess

import pytest
from faces import dataset, write_folder

COMPILER = shutil.which("cc") or shutil.which("gcc")
if COMPILER is None or not os.path.isdir("/proc/self/fd"):  # noqa: PTH112
    pytest.skip("needs a C compiler and /proc", allow_module_level=True)

# Each function is refused with the number in the environment variable of its name.
SHIM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int refused(const char *name, const char *path) {
    const char *number = getenv(name);
    char full[4096] = "";
    if (number && path[0] != '/') { if (!getcwd(full, sizeof full)) return 0; }
    if (!number || !(strstr(path, "/project") || strstr(full, "/project"))) return 0;
    errno = atoi(number);
    return 1;
}
static int refused_file(const char *name, int file) {
    char link[64], path[4096] = "";
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    if (readlink(link, path, sizeof path - 1) < 0) return 0;
    return refused(name, path);
}
#define REAL(name) ((__typeof__(name) *)dlsym(RTLD_NEXT, #name))
int flock(int file, int how) {
    return refused_file("REFUSE_FLOCK", file) ? -1 : REAL(flock)(file, how);
}
int fsync(int file) { return refused_file("REFUSE_FSYNC", file) ? -1 : REAL(fsync)(file); }
int fchmod(int file, mode_t mode) {
    return refused_file("REFUSE_CHMOD", file) ? -1 : REAL(fchmod)(file, mode);
}
int chmod(const char *path, mode_t mode) {
    return refused("REFUSE_CHMOD", path) ? -1 : REAL(chmod)(path, mode);
}
int link(const char *path, const char *other) {
    return refused("REFUSE_LINK", other) ? -1 : REAL(link)(path, other);
}
int symlink(const char *path, const char *other) {
    return refused("REFUSE_LINK", other) ? -1 : REAL(symlink)(path, other);
}
int mkdir(const char *path, mode_t mode) {
    return refused("REFUSE_MKDIR", path) ? -1 : REAL(mkdir)(path, mode);
}
int open64(const char *path, int flags, ...) {
    va_list rest; va_start(rest, flags); int mode = va_arg(rest, int); va_end(rest);
    if ((flags & O_TMPFILE) == O_TMPFILE && refused("REFUSE_TMPFILE", path)) return -1;
    return REAL(open64)(path, flags, mode);
}
"""
REFUSED = {
    **{"fsync": errno.EINVAL, "tmpfile": errno.EOPNOTSUPP},
    **{"chmod": errno.EPERM, "link": errno.EPERM},
}
STAGES = ("download", "split", "preprocess")
OUTPUTS = ("data/raw/images.zip", "data/raw/index.csv", "data/split.csv", "data/records")
FACES = dataset(per_class=12, classes=("angry", "happy", "sad"))
CSV = "emotion,pixels\n" + "".join(f"{n % 3},{' '.join([str(n)] * 16)}\n" for n in range(36))


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    """The library."""
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text("#include <stdarg.h>\n" + SHIM)
    command = [COMPILER, "-shared", "-fPIC", "-o", "shim.so", "shim.c", "-ldl"]
    subprocess.run(command, cwd=folder, check=True)
    return folder / "shim.so"


@pytest.fixture
def run_refused(root, project, write_params, run_python, shim):
    """Run a stage on images or rows of a CSV while calls are refused."""
    write_params({"download.source": "local", "split.group_by": "none"})
    shutil.copy(root / "data/assigned.csv", project / "data")

    def run(stage, **refused):
        numbers = {f"REFUSE_{name.upper()}": str(number) for name, number in refused.items()}
        return run_python(root / "src/stage.py", stage, LD_PRELOAD=str(shim), **numbers)

    return run


def contents(project):
    """The bytes of all outputs of the data stages."""
    found = {}
    for name in OUTPUTS:
        path = project / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            found[file.relative_to(project).as_posix()] = file.read_bytes()
    return found


@pytest.mark.parametrize("tree", [FACES, {"fer2013.csv": CSV.encode()}], ids=["images", "rows"])
def test_the_outputs_are_the_same_without_sync_modes_links_and_nameless_files(
    run_refused, project, tree
):
    write_folder(project / "data/local", tree)
    results = []
    for refused in ({}, REFUSED):
        for stage in STAGES:
            done = run_refused(stage, **refused)
            assert (done.returncode, done.stderr) == (0, "")
        results.append(contents(project))
        assert len(results[-1]) >= 6
    assert results[0] == results[1]


def test_a_disk_that_fails_to_sync_is_an_error(run_refused, project):
    write_folder(project / "data/local", FACES)
    done = run_refused("download", fsync=errno.EIO)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "download: error: [Errno 5] Input/output error\n"


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_without_locks_a_stage_is_locked_on_this_machine_and_says_so(
    run_refused, project, tmp_path, monkeypatch, number
):
    write_folder(project / "data/local", FACES)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "elsewhere"))
    done = run_refused("download", flock=number)
    assert (done.returncode, done.stderr) == (0, "")
    warnings = [line for line in done.stdout.splitlines() if "WARNING" in line]
    assert len(warnings) == 1
    assert warnings[0].startswith(
        f"download: WARNING: .ferpipe/locks cannot be locked ({os.strerror(number)}); "
        f"{tmp_path / 'elsewhere'}/ferpipe-"
    )
    assert len(list((tmp_path / "elsewhere").glob("ferpipe-*/*-download.lock"))) == 1


def test_a_read_only_checkout_is_one_line_that_says_what_is_needed(run_refused):
    done = run_refused("download", mkdir=errno.EROFS)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "download: error: [Errno 30] Read-only file system: '.ferpipe/locks'; stages write to "
        "data/, models/, reports/ and .ferpipe/: copy the checkout to a folder that can be "
        "written\n"
    )


@pytest.mark.parametrize("folder", ["missing", "a file"])
def test_an_unusable_temporary_folder_does_not_matter(run_refused, project, monkeypatch, folder):
    write_folder(project / "data/local", {"fer2013.csv": CSV.encode()})
    if folder == "a file":
        (project / folder).touch()
    monkeypatch.setenv("TMPDIR", str(project / folder))
    done = run_refused("download")
    assert (done.returncode, done.stderr) == (0, "")
