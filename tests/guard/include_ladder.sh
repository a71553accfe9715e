#!/bin/sh
# Includes point one way (DESIGN section 12). A file's layer is its folder. Right in shim/, base, group
# and init are layers by name; announce, survey, holders, door, lead, lead_report and watch are the pump's; the rest is the
# choreographer, shim.
. "$(dirname "$0")/lib.sh"
need shim/base.h

# layer: what it may include
rules='base:
core: base core
sys: base sys
process: base core sys process
track: base core sys process track
signal: base core sys process signal
drain: base core sys process track signal drain
group: base core sys group
shim: base core sys process track signal drain group shim
pump: base core sys process track signal drain group shim pump
hook: base core sys process track signal drain group shim hook
init: base core sys process track signal drain group shim pump hook init
cli: base core sys cli hooks.def'

# Of the compiler's own headers only those without a libc behind them, and for SIMD.
freestanding=' stdbool.h stddef.h stdint.h stdarg.h stdnoreturn.h limits.h immintrin.h emmintrin.h arm_neon.h '

# shellcheck disable=SC2016
problems=$(find shim -name '*.[chS]' -o -name '*.def' | sort | xargs awk -v rules="$rules" -v free="$freestanding" '
    function layer(path,   parts, n) {
        if (path == "shim/hook/hooks.def") return "hooks.def"
        n = split(path, parts, "/")
        if (n > 2) return parts[2]
        sub(/\.[chS]$/, "", parts[2])
        if (parts[2] ~ /^(announce|survey|holders|door|lead|lead_report|watch|shim_process)$/) return "pump"
        return parts[2] ~ /^(base|group|pump|init)$/ ? parts[2] : "shim"
    }
    function join_path(dir, name) {
        name = dir "/" name
        while (sub(/\/\.\//, "/", name)) ;
        while (sub(/[^\/]+\/\.\.\//, "", name)) ;
        return name
    }
    BEGIN {
        n = split(rules, line, "\n")
        for (i = 1; i <= n; i++) {
            split(line[i], rule, ":")
            may[rule[1]] = rule[2] " "
        }
    }
    FNR == 1 {
        from = layer(FILENAME) == "hooks.def" ? "hook" : layer(FILENAME)
        dir = FILENAME
        sub(/\/[^\/]*$/, "", dir)
        if (!(from in may)) print FILENAME ": its layer \"" from "\" has no rule in this guard"
    }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
        split($0, quoted, "\"")
        to = layer(quoted[2] ~ /^\.\./ ? join_path(dir, quoted[2]) : "shim/" quoted[2])
        allowed = may[from] (from == "hook" || from == "init" ? "hooks.def " : "")
        if (from in may && index(allowed, " " to " ") == 0)
            print FILENAME ":" FNR ": " from " may not include \"" quoted[2] "\" (" to ")"
    }
    from == "core" && /^[ \t]*#[ \t]*include[ \t]*</ {
        split($0, angled, /[<>]/)
        if (index(free, " " angled[2] " ") == 0)
            print FILENAME ":" FNR ": core may not include <" angled[2] ">"
    }')
verdict "$problems"
