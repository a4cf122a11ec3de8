/* A plugin of QEMU's user mode: how many instructions of the emulated processor a thread has executed.
 *
 * The emulated program marks a place by prctl(MARK, number, 0, 0, 0), which Linux refuses and which changes nothing. The
 * plugin writes "mark NUMBER COUNT" into the file that the environment names, COUNT being the instructions of that thread
 * so far. Between the marks CLOCKS and CLOCKS + 1 it also writes "clock COUNT" whenever the thread reads a clock: a
 * profiler in the program does so where an operator begins and ends.
 *
 * A block of instructions counts when it is entered; a system call ends its block. Only functions that have been the same
 * since the first version of the interface are used, declared here: distributions do not ship QEMU's header. The version
 * that is told to QEMU is given to the compiler.
 *
 * Interface: qemu/include/qemu/qemu-plugin.h (QEMU 7.2 to 10). Numbers of system calls: Linux, asm-generic/unistd.h. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define EXPORT __attribute__((visibility("default")))
#define PRCTL 167
#define CLOCK_GETTIME 113
#define GETTIMEOFDAY 169
#define MARK 0x65646765u /* "edge" */
#define CLOCKS 1000000u
#define THREADS 4096

typedef uint64_t plugin_id;
struct qemu_plugin_tb;

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
extern void qemu_plugin_register_vcpu_syscall_cb(plugin_id,
    void (*)(plugin_id, unsigned, int64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t));

EXPORT int qemu_plugin_version = PLUGIN_VERSION;

static uint64_t executed[THREADS];
static FILE *out;
static int clocks;

static void entered(unsigned thread, void *instructions) {
    if (thread < THREADS) executed[thread] += (uintptr_t)instructions;
}

static void translated(plugin_id id, struct qemu_plugin_tb *block) {
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, entered, 0, (void *)(uintptr_t)qemu_plugin_tb_n_insns(block));
}

static void called(plugin_id id, unsigned thread, int64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d,
                   uint64_t e, uint64_t f, uint64_t g, uint64_t h) {
    (void)id, (void)c, (void)d, (void)e, (void)f, (void)g, (void)h;
    if (thread >= THREADS) return;
    if (number == PRCTL && a == MARK) {
        fprintf(out, "mark %llu %llu\n", (unsigned long long)b, (unsigned long long)executed[thread]);
        fflush(out);
        if (b == CLOCKS) clocks = 1;
        if (b == CLOCKS + 1) clocks = 0;
    } else if ((number == CLOCK_GETTIME || number == GETTIMEOFDAY) && clocks) {
        fprintf(out, "clock %llu\n", (unsigned long long)executed[thread]);
    }
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info, (void)argc, (void)argv;
    const char *path = getenv("EDGEKIT_INSTRUCTIONS");
    out = path ? fopen(path, "w") : NULL;
    if (!out) return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_vcpu_syscall_cb(id, called);
    return 0;
}
