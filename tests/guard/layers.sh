#!/bin/sh
# The layers of shim/: what a file includes, and what its object calls, lies in its own folder or in one that the table
# allows; no chain of such calls comes back to where it began; headers and structs stay small; a function is found by
# its name; each owner of state forgets it in a fork's child. layers.exceptions lists what does not hold yet, in the words of the complaint (up to its colon): that list
# only shrinks. A line that nothing needs any more fails as well.
. "$(dirname "$0")/lib.sh"
exceptions=tests/guard/layers.exceptions
need shim/base.h
need $exceptions

# LAYER: WHAT IT MAY INCLUDE AND CALL, besides itself. A word is a layer, or one file of a layer (sys/net). A file's
# layer is its folder; in the launcher, its folder there. Right in shim/: base.h, init.c, and shim.[ch] with shim_*.c,
# which are the layer shim. go/entry_injected_* is where a program starts, like init.c.
below='base core sys process track signal group compat drain'
host='base core sys/memfd sys/shared sys/proc sys/net sys/sock_diag sys/fd sys/logfile sys/syscall sys/arch launcher/cli launcher/commands'
rules="base:
core: base
sys: base
process: base core sys
track: base core sys process
signal: base core sys process
group: base core sys process
compat: base core sys process track group
drain: base core sys process track signal group compat
shim: $below
hook: $below shim
go: $below shim hook
init: $below shim hook go
launcher: $host launcher/host launcher/inspect launcher/check launcher/run launcher/external launcher/status launcher/load launcher/rehearse launcher/timeline
launcher/host: $host
launcher/inspect: $host hook/hooks
launcher/load: $host launcher/host
launcher/timeline: $host
launcher/check: $host launcher/inspect
launcher/external: $host launcher/host
launcher/status: $host launcher/host
launcher/run: $host launcher/host launcher/inspect launcher/external
launcher/rehearse: $host launcher/host launcher/load"

# A function that other files call begins with the name of its file or of its folder (the last s may be missing), or
# with a prefix given here. FILE PREFIX
prefixes='core/conn_pool pool
core/report_format report
core/report_format log_line
sys/net sock'

# Of the compiler's own headers only those without a libc behind them, and for SIMD.
freestanding='stdbool.h stddef.h stdint.h stdarg.h stdnoreturn.h limits.h immintrin.h emmintrin.h arm_neon.h'

work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
sed '/^#/d; /^$/d' $exceptions >"$work/exceptions"
names=$(hook_names)

# What all the awk programs below share: layer(FILE), allowed(FILE, FILE); a FILE is without shim/ and its ending.
# shellcheck disable=SC2016
common='
    BEGIN {
        n = split(rules, line, "\n")
        for (i = 1; i <= n; i++) {
            at = index(line[i], ":")
            may[substr(line[i], 1, at - 1)] = substr(line[i], at + 1) " "
        }
    }
    function stem(path) { sub(/^shim\//, "", path); sub(/\.[a-zA-Z]+$/, "", path); return path }
    function layer(file,   parts, n) {
        n = split(file, parts, "/")
        if (n == 1 && file ~ /^shim(_[a-z_]*)?$/) return "shim"
        if (n == 1) return file
        if (file ~ /^go\/entry_injected/) return "init"
        return parts[1] == "launcher" && n > 2 ? "launcher/" parts[2] : parts[1]
    }
    function allowed(from, to) {
        from_layer = layer(from)
        to_layer = layer(to)
        return from_layer == to_layer || index(may[from_layer], " " to_layer " ") || index(may[from_layer], " " to " ")
    }
    function may_use(from) { return layer(from) " may only use:" (may[layer(from)] == " " ? " itself" : may[layer(from)]) }
'
# ask PROGRAM FILE...: an awk program with the above
ask()
{
    program=$1
    shift
    awk -v rules="$rules" -v free=" $freestanding " -v prefixes="$prefixes" -v names="$names" "$common$program" "$@"
}

find shim -name '*.[chS]' -o -name '*.def' | sort >"$work/sources"
# shellcheck disable=SC2046
set -- $(cat "$work/sources")

# ---- 1. includes ----
# shellcheck disable=SC2016
includes='
    NR == FNR { there[$1] = 1; next }
    FNR == 1 {
        from = stem(FILENAME)
        if (!(layer(from) in may))
            print FILENAME (from ~ /\// ? " has no rule in this guard: its folder is no layer" : " lies right in shim/: it belongs into a layer")
    }
    /^[ \t]*#[ \t]*include[ \t]*"/ {
        split($0, quoted, "\"")
        if (!("shim/" quoted[2] in there))
            print FILENAME " includes \"" quoted[2] "\": includes are written from shim/, and there is no shim/" quoted[2]
        else if (!allowed(from, stem(quoted[2])))
            print FILENAME " includes \"" quoted[2] "\": " may_use(from)
    }
    layer(from) == "core" && /^[ \t]*#[ \t]*include[ \t]*</ {
        split($0, angled, /[<>]/)
        if (index(free, " " angled[2] " ") == 0)
            print FILENAME " includes <" angled[2] ">: core is freestanding"
    }'
ask "$includes" "$work/sources" "$@" >"$work/problems"

# ---- 2. objects: who calls, or uses a variable of, whom ----
# Two programs are made of these sources; an object whose source has gone is no part of them. symbols: SOURCE KIND NAME
need "$BUILD/shim" 'build first'
for program in "$BUILD" "$BUILD/host"; do
    # shellcheck disable=SC2046
    set -- $(find "$program/shim" -name '*.o' 2>/dev/null)
    [ $# -eq 0 ] || nm -gA "$@" | sed "s|^$program/||; s|\.o:| |" | awk '
        FILENAME != "-" { there[$1] = 1; next }
        { source = $1 ~ /\.[cS]$/ ? $1 : $1 ".c" }
        source in there && $NF !~ /^mem(cpy|move|set|cmp)$/ { print source, $(NF - 1), $NF } # compilers call these by themselves
    ' "$work/sources" - | tee -a "$work/symbols" | awk '
        $2 !~ /^[UvwN]$/ { definer[$3] = $1; next }
        { n++; user[n] = $1; used[n] = $3 }
        END { for (i = 1; i <= n; i++) if (used[i] in definer && definer[used[i]] != user[i]) print user[i], definer[used[i]], used[i] }'
done | sort -u >"$work/uses"
# shellcheck disable=SC2016
objects='
    !allowed(stem($1), stem($2)) && !told[$1, $2]++ { print $1 " uses " $2 ": by " $3 "; " may_use(stem($1)) }'
ask "$objects" "$work/uses" >>"$work/problems"

# ---- 3. loops ----
cut -d' ' -f1,2 "$work/uses" | sort -u >"$work/edges"
# Files that use no other or that no other uses are taken away until none is left; the rest is searched for ways back.
# shellcheck disable=SC2016
loops='
    { from[NR] = $1; to[NR] = $2 }
    END {
        do {
            gone = 0
            split("", out); split("", in_)
            for (i = 1; i <= NR; i++) if (from[i] != "") { out[from[i]] = 1; in_[to[i]] = 1 }
            for (i = 1; i <= NR; i++) if (from[i] != "" && (!(to[i] in out) || !(from[i] in in_))) { from[i] = ""; gone = 1 }
        } while (gone)
        for (i = 1; i <= NR; i++) if (from[i] != "") next_[from[i]] = next_[from[i]] " " to[i]
        for (file in next_) {
            split("", seen); queue[1] = file; last = 1; back = 0
            for (first = 1; first <= last && !back; first++) {
                n = split(next_[queue[first]], step, " ")
                for (k = 1; k <= n; k++) {
                    if (step[k] == file) back = 1
                    if (!(step[k] in seen)) { seen[step[k]] = 1; queue[++last] = step[k] }
                }
            }
            if (back) print file " stands in a loop: what it uses comes to use it"
        }
    }'
ask "$loops" "$work/edges" | sort >"$work/loops"
cat "$work/loops" >>"$work/problems"

# ---- 4. small headers, small structs, names ----
# shellcheck disable=SC2016
sizes='
    function leave(   members) {
        if (kind[depth] == "struct" && count[depth] > 32) print file " has a " title[depth] " with more than 32 members: " count[depth]
        depth--
    }
    function measure() {
        if (file == "shim/shim.h") { if (lines > 90) print file " is longer than 90 lines: " lines }
        else if (file ~ /\.h$/ && file !~ /^shim\/core\// && lines > 120) print file " is longer than 120 lines: " lines
        if (layer(stem(file)) == "shim" && file ~ /\.c$/) choreographer += lines
    }
    FNR == 1 {
        if (file != "") measure()
        file = FILENAME
        depth = inside = round = 0
        before = ""
    }
    { lines = FNR }
    /^[ \t]*#/ { next }
    {
        text = $0
        gsub(/"([^"\\]|\\.)*"/, "", text)
        gsub(/\047([^\047\\]|\\.)*\047/, "", text)
        if (inside) { if (!sub(/^.*\*\//, "", text)) next; inside = 0 }
        gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, "", text)
        sub(/\/\/.*/, "", text)
        if (sub(/\/\*.*/, "", text)) inside = 1
        n = length(text)
        for (i = 1; i <= n; i++) {
            c = substr(text, i, 1)
            if (c == "(" || c == "[") round++
            else if (c == ")" || c == "]") round--
            else if (c == "{") {
                depth++
                count[depth] = 0
                kind[depth] = before ~ /(^|[^a-z_])(struct|union)[ \t]*[A-Za-z_0-9]*[ \t]*$/ ? "struct" : "block"
                title[depth] = before
                sub(/^.*[^a-z_A-Z0-9 ]/, "", title[depth]); sub(/^[ \t]+/, "", title[depth]); sub(/[ \t]+$/, "", title[depth])
                before = ""
            } else if (c == "}") { leave(); before = "}" }
            else if (c == ";" || (c == "," && !round)) {
                if (c == ";" || kind[depth] == "struct") count[depth]++
                before = ""
            } else before = before c
        }
        before = before " "
    }
    END {
        measure()
        if (choreographer > 400) print "shim/shim_*.c are longer than 400 lines in all: " choreographer
    }'
# shellcheck disable=SC2046
ask "$sizes" $(grep '\.[ch]$' "$work/sources") >>"$work/problems"

# shellcheck disable=SC2016
naming='
    BEGIN {
        n = split(prefixes, line, "\n")
        for (i = 1; i <= n; i++) { split(line[i], row, " "); declared[row[1]] = declared[row[1]] " " row[2] }
        n = split(names, row, "\n")
        for (i = 1; i <= n; i++) hook[row[i]] = 1
    }
    function fits(name, prefix,   one) {
        one = prefix
        sub(/s$/, "", one)
        return name ~ "^" one "s?(_|$)"
    }
    function is_declared(name, file,   list, n) {
        n = split(declared[file], list, " ")
        while (n > 0) if (fits(name, list[n--])) return 1
        return 0
    }
    $2 ~ /^[TW]$/ && $1 ~ /\.c$/ && !told[$1, $3]++ {
        file = stem($1)
        if (layer(file) == "init" || $3 == "main" || (layer(file) == "hook" && $3 in hook)) next
        n = split(file, parts, "/")
        if (n == 1 ? fits($3, "shim") : fits($3, parts[n]) || fits($3, parts[n - 1]) || is_declared($3, file)) next
        print $1 " defines " $3 ": a name begins with that of its file or folder" (declared[file] ? ", or with one of:" declared[file] : "")
    }'
ask "$naming" "$work/symbols" >>"$work/problems"

# ---- 5. what a fork's child forgets: all of it by the choreographer ----
# shellcheck disable=SC2016
forgetting='
    $3 !~ /_after_fork$/ { next }
    FILENAME == ARGV[1] { called[$3] = 1; if (layer(stem($1)) != "shim") print $1 " calls " $3 ": only shim_process.c does" ; next }
    $2 ~ /^[TW]$/ && !($3 in called) { print $1 " defines " $3 ": shim_process.c does not call it" }'
ask "$forgetting" "$work/uses" "$work/symbols" >>"$work/problems"

# ---- against the exceptions ----
verdict "$({
    awk '
        function key(line) { sub(/: .*/, "", line); return line }
        FILENAME == ARGV[1] { excepted[key($0)] = 1; next }
        { needed[key($0)] = 1 }
        !(key($0) in excepted)
        END { for (line in excepted) if (!(line in needed)) print "this exception is needed no longer, take it out of layers.exceptions: " line }
    ' "$work/exceptions" "$work/problems" | sort -u
    # The loops that hold a file which is no exception.
    tsort "$work/edges" 2>&1 >/dev/null | awk '
        function flush() { if (fresh) print "a loop:" loop; loop = ""; fresh = 0 }
        FILENAME == ARGV[1] { excepted[$0] = 1; next }
        FILENAME == ARGV[2] { told = $0; sub(/: .*/, "", told); if (!(told in excepted)) new_[$1] = 1; next }
        /contains a loop/ { flush(); next }
        { loop = loop " " $NF; if ($NF in new_) fresh = 1 }
        END { flush() }' "$work/exceptions" "$work/loops" -
})"
