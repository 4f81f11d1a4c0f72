/* Records, in order, what a process does to the files below one folder, and what it tells the world.
 *
 * A preload library for tests. It traps the system calls themselves (seccomp with SIGSYS), not the functions of the C
 * library, so that crates which make system calls of their own are recorded too. Each trapped call is made from
 * `record_syscall` below, the one place from which the filter lets it pass, and noted in the record.
 *
 *   HEARKEN_RECORD           the record, made beforehand; several processes may append to one
 *   HEARKEN_RECORD_ROOT      the folder, absolute and without links
 *   HEARKEN_RECORD_WHO       a letter that names the process
 *   HEARKEN_CLOCK_SHIFT      a file of eight bytes: milliseconds that the wall clock of the process stands ahead, now
 *
 * What is noted, and when: a change of a file or folder, after it was made and before the next one may be; a sync, when
 * it begins and when it has ended; a datagram that is sent and a line on standard output, before it leaves. So of two
 * entries where the earlier process caused the later, the earlier stands first, across processes too. What cannot be
 * replayed (shared writable mappings, files that get a name later, copies inside the kernel) is noted as such, and fails
 * the test. An entry is a header of 32 bytes and its payload; tests/src/crash/record.rs reads it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum kind {
    OPENED = 1,   /* path; number: inode; a: 1 if it was made, 2 if it was emptied */
    WRITTEN,      /* bytes; a: offset */
    TRUNCATED,    /* a: length */
    EXTENDED,     /* a: length at least */
    RENAMED,      /* path NUL path */
    LINKED,       /* path NUL path */
    UNLINKED,     /* path */
    FOLDER_MADE,  /* path */
    FOLDER_GONE,  /* path */
    SYNC_BEGUN,   /* number: inode */
    SYNCED,       /* number: inode */
    SENT,         /* a datagram */
    SAID,         /* bytes on standard output */
    UNSUPPORTED,  /* what */
};

struct header {
    uint32_t payload_len;
    uint8_t kind;
    uint8_t who;
    uint16_t zero;
    uint64_t number;
    uint64_t a;
    uint64_t pid;
};

#define PATH_LEN 4096
#define PARTS_MAX 256
#define RECORD_FD 1000

static char root[PATH_LEN];
static size_t root_len;
static uint8_t who = '?';
static const volatile int64_t *shift_ms;
static int is_locked;

/* --- system calls that the filter lets pass ------------------------------------------------------------------- */

long record_syscall(long nr, long a, long b, long c, long d, long e, long f);
extern const char record_syscall_end[];

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
__asm__(".text\n.globl record_syscall\n.hidden record_syscall\n.type record_syscall,@function\nrecord_syscall:\n"
        "mov %rdi,%rax\nmov %rsi,%rdi\nmov %rdx,%rsi\nmov %rcx,%rdx\nmov %r8,%r10\nmov %r9,%r8\nmov 8(%rsp),%r9\n"
        "syscall\nret\n.globl record_syscall_end\n.hidden record_syscall_end\nrecord_syscall_end:\nnop\n");
#define ARG(n) (context->uc_mcontext.gregs[(const int[]){REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9}[n]])
#define RESULT (context->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
__asm__(".text\n.globl record_syscall\n.hidden record_syscall\n.type record_syscall,%function\nrecord_syscall:\n"
        "mov x8,x0\nmov x0,x1\nmov x1,x2\nmov x2,x3\nmov x3,x4\nmov x4,x5\nmov x5,x6\n"
        "svc #0\nret\n.globl record_syscall_end\n.hidden record_syscall_end\nrecord_syscall_end:\nnop\n");
#define ARG(n) (context->uc_mcontext.regs[n])
#define RESULT (context->uc_mcontext.regs[0])
#else
#error "this machine's system calls are not known here"
#endif

static long call(long nr, long a, long b, long c, long d, long e, long f) {
    return record_syscall(nr, a, b, c, d, e, f);
}
#define CALL3(nr, a, b, c) call(nr, (long)(a), (long)(b), (long)(c), 0, 0, 0)

/* --- the record ----------------------------------------------------------------------------------------------- */

static void lock(void) {
    while (__atomic_exchange_n(&is_locked, 1, __ATOMIC_ACQUIRE)) CALL3(SYS_sched_yield, 0, 0, 0);
}

static void unlock(void) { __atomic_store_n(&is_locked, 0, __ATOMIC_RELEASE); }

static void give_up(const char *why) {
    CALL3(SYS_write, 2, why, strlen(why));
    call(SYS_exit_group, 99, 0, 0, 0, 0, 0);
}

/* Appends one entry, in one call: O_APPEND keeps entries of several processes apart. */
static void note(enum kind kind, uint64_t number, uint64_t a, const struct iovec *parts, int count, size_t len) {
    struct iovec all[PARTS_MAX + 1];
    struct header header = {(uint32_t)len, kind, who, 0, number, a, (uint64_t)CALL3(SYS_getpid, 0, 0, 0)};
    all[0] = (struct iovec){&header, sizeof header};
    int used = 1;
    size_t rest = len;
    for (int at = 0; at < count && rest > 0; at++) {
        size_t taken = parts[at].iov_len < rest ? parts[at].iov_len : rest;
        all[used++] = (struct iovec){parts[at].iov_base, taken};
        rest -= taken;
    }
    if (CALL3(SYS_writev, RECORD_FD, all, used) != (long)(sizeof header + len)) give_up("the record is full\n");
}

static void note_bytes(enum kind kind, uint64_t number, uint64_t a, const void *bytes, size_t len) {
    struct iovec part = {(void *)bytes, len};
    note(kind, number, a, &part, 1, len);
}

static void note_text(enum kind kind, uint64_t number, uint64_t a, const char *text) {
    note_bytes(kind, number, a, text, strlen(text));
}

/* --- which files ---------------------------------------------------------------------------------------------- */

static int is_below_root(const char *path) {
    return strncmp(path, root, root_len) == 0 && (path[root_len] == '/' || path[root_len] == 0);
}

static void number_to_text(char *out, unsigned number) {
    char digits[12];
    int len = 0;
    do digits[len++] = (char)('0' + number % 10); while (number /= 10);
    while (len) *out++ = digits[--len];
    *out = 0;
}

/* The path of an open file. Empty for what is none. */
static void path_of(int fd, char *out) {
    char link[40] = "/proc/self/fd/";
    number_to_text(link + strlen(link), (unsigned)fd);
    long len = call(SYS_readlinkat, AT_FDCWD, (long)link, (long)out, PATH_LEN - 1, 0, 0);
    out[len > 0 ? len : 0] = 0;
}

/* Makes a path absolute. Answers whether it lies below the root. */
static int absolute(int folder, const char *path, char *out) {
    out[0] = 0;
    if (path[0] != '/') {
        if (folder == AT_FDCWD) {
            if (CALL3(SYS_getcwd, out, PATH_LEN, 0) < 0) return 0;
        } else {
            path_of(folder, out);
        }
        strncat(out, "/", PATH_LEN - strlen(out) - 1);
    }
    strncat(out, path, PATH_LEN - strlen(out) - 1);
    return is_below_root(out);
}

/* The inode of an open file below the root; 0 for any other. */
static uint64_t inode_of(int fd) {
    char path[PATH_LEN];
    struct stat status;
    path_of(fd, path);
    if (!is_below_root(path)) return 0;
    return CALL3(SYS_fstat, fd, &status, 0) == 0 ? status.st_ino : 0;
}

/* --- the calls ------------------------------------------------------------------------------------------------ */

static long opened(long nr, int folder, const char *path, long flags, long mode) {
    char full[PATH_LEN];
    struct stat status;
    if (!absolute(folder, path, full)) return call(nr, folder, (long)path, flags, mode, 0, 0);
    if ((flags & O_TMPFILE) == O_TMPFILE) note_text(UNSUPPORTED, 0, 0, "O_TMPFILE");
    if (!(flags & (O_CREAT | O_TRUNC))) return call(nr, folder, (long)path, flags, mode, 0, 0);
    lock();
    int was_there = call(SYS_newfstatat, AT_FDCWD, (long)full, (long)&status, 0, 0, 0) == 0;
    long fd = call(nr, folder, (long)path, flags, mode, 0, 0);
    if (fd >= 0 && CALL3(SYS_fstat, fd, &status, 0) == 0) {
        int made = !was_there, emptied = was_there && (flags & O_TRUNC);
        if (made || emptied) note_text(OPENED, status.st_ino, made ? 1 : 2, full);
    }
    unlock();
    return fd;
}

/* A write at `offset`, or where the file stands if that is negative. */
static long wrote(long nr, const long *arg, const struct iovec *parts, int count, int64_t offset) {
    int fd = (int)arg[0];
    if (fd == 1) {
        size_t len = 0;
        for (int at = 0; at < count; at++) len += parts[at].iov_len;
        note(SAID, 0, 0, parts, count, len);
        return call(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    }
    uint64_t inode = inode_of(fd);
    if (!inode) return call(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    if (count > PARTS_MAX) note_text(UNSUPPORTED, 0, 0, "a write of too many parts");
    lock();
    long done = call(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    if (done > 0) {
        if (offset < 0) offset = CALL3(SYS_lseek, fd, 0, SEEK_CUR) - done;
        note(WRITTEN, inode, (uint64_t)offset, parts, count < PARTS_MAX ? count : PARTS_MAX, (size_t)done);
    }
    unlock();
    return done;
}

/* A call whose entry is one path or two, noted where it succeeds. */
static long named(enum kind kind, long nr, const long *arg, int folder, const char *path, int folder2, const char *path2) {
    char full[PATH_LEN], full2[PATH_LEN];
    int inside = absolute(folder, path, full);
    if (path2) inside |= absolute(folder2, path2, full2);
    if (!inside) return call(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    lock();
    long result = call(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    if (result == 0) {
        struct iovec parts[] = {{full, strlen(full) + (path2 ? 1 : 0)}, {full2, path2 ? strlen(full2) : 0}};
        note(kind, 0, 0, parts, path2 ? 2 : 1, parts[0].iov_len + parts[1].iov_len);
    }
    unlock();
    return result;
}

static long made_folder(long nr, const long *arg, int folder, const char *path) {
    char full[PATH_LEN];
    struct stat status;
    if (!absolute(folder, path, full)) return call(nr, arg[0], arg[1], arg[2], 0, 0, 0);
    lock();
    long result = call(nr, arg[0], arg[1], arg[2], 0, 0, 0);
    if (result == 0 && call(SYS_newfstatat, AT_FDCWD, (long)full, (long)&status, 0, 0, 0) == 0)
        note_text(FOLDER_MADE, status.st_ino, 0, full);
    unlock();
    return result;
}

static long synced(long nr, const long *arg) {
    uint64_t inode = inode_of((int)arg[0]);
    if (inode) note(SYNC_BEGUN, inode, 0, NULL, 0, 0);
    long result = call(nr, arg[0], arg[1], arg[2], arg[3], 0, 0);
    if (inode && result == 0) note(SYNCED, inode, 0, NULL, 0, 0);
    return result;
}

static long resized(enum kind kind, long nr, const long *arg, uint64_t len) {
    uint64_t inode = inode_of((int)arg[0]);
    if (!inode) return call(nr, arg[0], arg[1], arg[2], arg[3], 0, 0);
    lock();
    long result = call(nr, arg[0], arg[1], arg[2], arg[3], 0, 0);
    if (result == 0) note(kind, inode, len, NULL, 0, 0);
    unlock();
    return result;
}

static long unsupported(long nr, const long *arg, int fd, const char *what) {
    if (fd < 0 || inode_of(fd)) note_text(UNSUPPORTED, 0, 0, what);
    return call(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
}

#define PATH(n) ((const char *)arg[n])

static long trapped(long nr, const long *arg) {
    struct iovec one = {(void *)arg[1], (size_t)arg[2]};
    switch (nr) {
#ifdef SYS_open
    case SYS_open: return opened(SYS_openat, AT_FDCWD, PATH(0), arg[1], arg[2]);
    case SYS_creat: return opened(SYS_openat, AT_FDCWD, PATH(0), O_CREAT | O_WRONLY | O_TRUNC, arg[1]);
    case SYS_rename: return named(RENAMED, nr, arg, AT_FDCWD, PATH(0), AT_FDCWD, PATH(1));
    case SYS_link: return named(LINKED, nr, arg, AT_FDCWD, PATH(0), AT_FDCWD, PATH(1));
    case SYS_unlink: return named(UNLINKED, nr, arg, AT_FDCWD, PATH(0), 0, NULL);
    case SYS_rmdir: return named(FOLDER_GONE, nr, arg, AT_FDCWD, PATH(0), 0, NULL);
    case SYS_mkdir: return made_folder(nr, arg, AT_FDCWD, PATH(0));
    case SYS_symlink: return named(UNSUPPORTED, nr, arg, AT_FDCWD, PATH(1), 0, NULL);
#endif
#ifdef SYS_renameat
    case SYS_renameat:
#endif
    case SYS_renameat2: return named(RENAMED, nr, arg, (int)arg[0], PATH(1), (int)arg[2], PATH(3));
    case SYS_openat: return opened(nr, (int)arg[0], PATH(1), arg[2], arg[3]);
    case SYS_linkat: return named(LINKED, nr, arg, (int)arg[0], PATH(1), (int)arg[2], PATH(3));
    case SYS_unlinkat:
        return named(arg[2] & AT_REMOVEDIR ? FOLDER_GONE : UNLINKED, nr, arg, (int)arg[0], PATH(1), 0, NULL);
    case SYS_mkdirat: return made_folder(nr, arg, (int)arg[0], PATH(1));
    case SYS_symlinkat: return named(UNSUPPORTED, nr, arg, (int)arg[1], PATH(2), 0, NULL);
    case SYS_write: return wrote(nr, arg, &one, 1, -1);
    case SYS_writev: return wrote(nr, arg, (void *)arg[1], (int)arg[2], -1);
    case SYS_pwrite64: return wrote(nr, arg, &one, 1, arg[3]);
    case SYS_pwritev:
    case SYS_pwritev2: return wrote(nr, arg, (void *)arg[1], (int)arg[2], arg[3]);
    case SYS_ftruncate: return resized(TRUNCATED, nr, arg, (uint64_t)arg[1]);
    case SYS_fallocate:
        if (arg[1] & ~FALLOC_FL_KEEP_SIZE) return unsupported(nr, arg, (int)arg[0], "fallocate");
        if (arg[1]) return call(nr, arg[0], arg[1], arg[2], arg[3], 0, 0);
        return resized(EXTENDED, nr, arg, (uint64_t)(arg[2] + arg[3]));
    case SYS_fsync:
    case SYS_fdatasync: return synced(nr, arg);
    /* Promises nothing about metadata, so nothing is taken for durable. */
    case SYS_sync_file_range: return call(nr, arg[0], arg[1], arg[2], arg[3], 0, 0);
    case SYS_mmap: return arg[2] & PROT_WRITE ? unsupported(nr, arg, (int)arg[4], "a shared writable mapping")
                                             : call(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    case SYS_copy_file_range: return unsupported(nr, arg, (int)arg[2], "copy_file_range");
    case SYS_sendfile: return unsupported(nr, arg, (int)arg[0], "sendfile");
    case SYS_splice: return unsupported(nr, arg, (int)arg[2], "splice");
    case SYS_truncate: return unsupported(nr, arg, -1, "truncate");
    case SYS_openat2: return unsupported(nr, arg, -1, "openat2");
    case SYS_io_uring_setup: return unsupported(nr, arg, -1, "io_uring");
    default: note(SENT, 0, 0, NULL, 0, 0); return call(nr, arg[0], arg[1], arg[2], arg[3], arg[4], arg[5]);
    }
}

static const int TRAPPED[] = {
#ifdef SYS_open
    SYS_open, SYS_creat, SYS_rename, SYS_link, SYS_unlink, SYS_rmdir, SYS_mkdir, SYS_symlink,
#endif
#ifdef SYS_renameat
    SYS_renameat,
#endif
    SYS_renameat2, SYS_openat, SYS_openat2, SYS_linkat, SYS_unlinkat, SYS_mkdirat, SYS_symlinkat, SYS_write, SYS_writev,
    SYS_pwrite64, SYS_pwritev, SYS_pwritev2, SYS_ftruncate, SYS_truncate, SYS_fallocate, SYS_fsync, SYS_fdatasync,
    SYS_sync_file_range, SYS_copy_file_range, SYS_sendfile, SYS_splice, SYS_io_uring_setup, SYS_sendmsg, SYS_sendmmsg,
    SYS_sendto,
};
#define TRAPPED_LEN (int)(sizeof TRAPPED / sizeof *TRAPPED)

static void on_trap(int signal, siginfo_t *info, void *raw) {
    ucontext_t *context = raw;
    (void)signal;
    long arg[6];
    for (int n = 0; n < 6; n++) arg[n] = (long)ARG(n);
    RESULT = trapped(info->si_syscall, arg);
}

/* --- the start ------------------------------------------------------------------------------------------------ */

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define LOAD_HIGH(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field) + 4)
#define EQUALS(value, yes, no) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(value), yes, no)
#define ANSWER(value) BPF_STMT(BPF_RET | BPF_K, value)

/* Traps the calls above wherever they come from but from `record_syscall`, whose few bytes end with its own `ret`. */
static void install(void) {
    static struct sock_filter filter[TRAPPED_LEN + 32];
    int at = 0;
    filter[at++] = (struct sock_filter)LOAD(arch);
    filter[at++] = (struct sock_filter)EQUALS(OWN_ARCH, 1, 0);
    filter[at++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
    filter[at++] = (struct sock_filter)LOAD(nr);
    for (int n = 0; n < TRAPPED_LEN; n++)
        filter[at++] = (struct sock_filter)EQUALS(TRAPPED[n], (unsigned char)(TRAPPED_LEN - n + 3), 0);
    /* Of mappings only the shared ones. */
    filter[at++] = (struct sock_filter)EQUALS(SYS_mmap, 0, 2);
    filter[at++] = (struct sock_filter)LOAD(args[3]);
    filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, MAP_SHARED, 1, 0);
    filter[at++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
    uintptr_t from = (uintptr_t)record_syscall, to = (uintptr_t)record_syscall_end;
    if (from >> 32 != to >> 32) give_up("the recorder lies across a border\n");
    filter[at++] = (struct sock_filter)LOAD_HIGH(instruction_pointer);
    filter[at++] = (struct sock_filter)EQUALS(from >> 32, 0, 3);
    filter[at++] = (struct sock_filter)LOAD(instruction_pointer);
    filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, (uint32_t)from, 0, 1);
    filter[at++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, (uint32_t)to, 0, 1);
    filter[at++] = (struct sock_filter)ANSWER(SECCOMP_RET_TRAP);
    filter[at++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
    struct sock_fprog program = {(unsigned short)at, filter};
    struct sigaction action = {0};
    action.sa_sigaction = on_trap;
    action.sa_flags = SA_SIGINFO;
    sigfillset(&action.sa_mask);
    if (sigaction(SIGSYS, &action, NULL) != 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0
        || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        give_up("system calls cannot be trapped here\n");
}

__attribute__((constructor)) static void start(void) {
    const char *record = getenv("HEARKEN_RECORD"), *folder = getenv("HEARKEN_RECORD_ROOT");
    const char *name = getenv("HEARKEN_RECORD_WHO"), *shift = getenv("HEARKEN_CLOCK_SHIFT");
    if (shift) {
        int clock = open(shift, O_RDONLY | O_CLOEXEC);
        void *mapped = mmap(NULL, sizeof *shift_ms, PROT_READ, MAP_SHARED, clock, 0);
        if (mapped == MAP_FAILED) give_up("the shift of the clock cannot be read\n");
        shift_ms = mapped;
        close(clock);
    }
    if (!record || !folder || strlen(folder) >= PATH_LEN) return;
    strcpy(root, folder);
    root_len = strlen(root);
    if (name) who = (uint8_t)name[0];
    int fd = open(record, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0 || dup3(fd, RECORD_FD, O_CLOEXEC) < 0) give_up("the record cannot be written\n");
    close(fd);
    install();
}

/* --- the clock ------------------------------------------------------------------------------------------------ */

int clock_gettime(clockid_t clock, struct timespec *time) {
    if (syscall(SYS_clock_gettime, clock, time) != 0) return -1;
    if (clock == CLOCK_REALTIME && shift_ms) {
        int64_t shift = *shift_ms, ns = time->tv_nsec + shift % 1000 * 1000000 + 1000000000;
        time->tv_sec += shift / 1000 - 1 + ns / 1000000000;
        time->tv_nsec = ns % 1000000000;
    }
    return 0;
}

int gettimeofday(struct timeval *restrict time, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    time->tv_sec = now.tv_sec;
    time->tv_usec = now.tv_nsec / 1000;
    return 0;
}
