#!/bin/sh
# bugs.sh BUILD: proof that the explorer finds bugs: each of these, put into a copy of the source by itself, must be
# found. A line: the game of explore.c that finds it soonest, the source, and what sed makes of it. The one of world.c,
# and the first of conn_drain.c, are bugs that we have had.
set -u
cd "$(dirname "$0")/../.." || exit 1
dir=$1/explore
cc=${CC:-cc}
flags='-std=c11 -D_GNU_SOURCE -O1 -w -iquote shim -iquote shim/core -iquote tests/explore'

bugs='
alone_to_the_end drain.c             s/c->in_flight == 0 && c->idle == 0/c->idle == 0/
alone_to_the_end drain.c             s/c->queued == 0 && //;s/if (c->queued > 0)/if (false)/
alone_to_the_end drain.c             s/c->idle == 0 && c->ending/c->ending/
alone_to_the_end drain.c             s/ && c->ending == 0//
two_and_one      drain.c             s/ && c->members == 0;/;/
alone_to_the_end drain.c             s/return c->half_open == 0 || /return true || /
alone_deadline   drain.c             s/act.wake_at = earlier(earlier(end, shutdown_from), c->next_expiry)/act.wake_at = c->next_expiry/
alone_to_the_end drain.c             s/act.wake_at = earlier(earlier(end, shutdown_from), c->next_expiry)/act.wake_at = end/
alone_deadline   drain.c             s/now - d->signal_at >= DRAIN_REPEAT/now - d->signal_at > 100 * DRAIN_REPEAT/
two_and_one      drain.c             s/d->phase = DRAIN_DRAINED/deliver(d, act, now)/
alone_to_the_end drain.c             s/^    act->wake_at = now; .*//
alone_deadline   drain.c             s/(end != 0 && now >= end)/(end != 0 \&\& now > end)/
alone_deadline   drain.c             s/nsec_t end = d->lame_duck_from + o->delay/nsec_t end = d->lame_duck_from/
two_and_one      group_table.c       s/if (drains(&m->member\[at\]))/if (coordinator == MEMBER_NONE \&\& drains(\&m->member[at]))/
alone_to_the_end conn.c              s/return __atomic_load_n(&c->ring.pending, __ATOMIC_ACQUIRE) > 0 ||/return/
alone_to_the_end conn.c              s/|| conn_request_open(c) ||/||/
alone_to_the_end conn.c              s/__atomic_sub_fetch(&c->ring.pending, 1, __ATOMIC_RELEASE)//
two_and_one      group/coordinator.c s/if (part->drained && census->members > 0 && unready == 0/if (false/
two_and_one      group/coordinator.c s/^    bool changed = .*/    bool changed = false;/
two_killed       group/coordinator.c s/^    wake_watcher();//
torn_look        group/coordinator.c /^static bool follow/,/^}/{/int top = /d;s/^    if (top == MEMBER_NONE/    int top = group_table_coordinator(group.table, group.at);\n&/}
alone_to_the_end conn_drain.c        s/^    if (!f->opaque) {.*/    if (!f->opaque \&\& f->stage != CONN_READ_SHUT) {/
alone_to_the_end conn_drain.c        s/^    if (!f->acked && !f->only_fin)/    if (false)/
alone_to_the_end conn_drain.c        s/^        return decide(OUTSTANDING_IDLE, until);/        return decide(OUTSTANDING_IDLE, 0);/
two_and_one      conn_drain.c        s/later(p->signal_at, f->since) + p->idle, now/p->signal_at + p->idle, now/
alone_deadline   drain/loop.c        s/drain_signal(&drain_state.drain, LOAD(deferred.last_at))/(void)seen/
two_and_one      drain/loop.c        s/uint32_t asked = .*/uint32_t asked = 0;/
two_and_one      drain/loop.c        s/^        listeners_stop();/        (void)0;/
two_and_one      drain/loop.c        s/^        coordinator_publish(after, &census);/        (void)0;/
alone_to_the_end drain/loop.c        s/^        act.wake_at = now; .*/        (void)0;/
alone_deadline   drain.c             s/later(d->stopping_from, c->queue_moved)/d->stopping_from/
alone_to_the_end group/coordinator.c s/census->may_close = census->closes_last = !others->hold/census->may_close = census->closes_last = false/
alone_handler    drain.c             s/: drain_stops_accepting(d) && nothing_outstanding(c) && c->aborted == 0;/: true;/
alone_handler    drain.c             s/return (struct drain_actions){.finish = true/&, .deliver = true/
alone_handler    drain.c             s/.abort = late && !over && any_request(c)/.abort = late/
alone_handler    drain.c             s/return deadline(d, o) - o->shutdown_time;/return 0;/
two_and_one      world.c             s/group_wake_coordinators();//;s/group_wake_participants();//
'

# try GAME SOURCE CHANGE: prints why not, if it is not found.
try()
{
    game=$1
    shift
    rm -rf "$dir/bug"
    mkdir -p "$dir/bug/$(dirname "$1")"
    for from in shim/core/$1 shim/$1 tests/explore/$1; do
        [ ! -e "$from" ] || break
    done
    sed "$2" "$from" >"$dir/bug/$1"
    if cmp -s "$from" "$dir/bug/$1"; then
        echo "changes nothing"
        return
    fi
    object=$dir/$1.o source=$dir/bug/$1
    case $1 in */*) object=$dir/edge.c.o source=tests/explore/edge.c ;; esac # which includes it
    others=$(printf '%s\n' "$dir"/*.o | grep -vF "$object")
    # shellcheck disable=SC2086
    if ! "$cc" -iquote "$dir/bug" $flags -c -o "$dir/bug/bug" "$source" || ! "$cc" -o "$dir/bug/explore" "$dir/bug/bug" $others; then
        echo "does not compile"
    elif "$dir/bug/explore" "$game" >"$dir/bug/log" 2>&1; then
        echo "is not found"
    elif ! grep -q "^FAIL explore $game:" "$dir/bug/log"; then
        echo "is not found, but the explorer ends with: $(tail -1 "$dir/bug/log")"
    fi
}

found=0 failed=0
while read -r game source change; do
    [ -n "$source" ] || continue
    why=$(try "$game" "$source" "$change")
    if [ -n "$why" ]; then
        echo "FAIL explore_bugs: $game: $source $change: $why"
        failed=1
    fi
    found=$((found + 1))
done <<EOF
$bugs
EOF
rm -rf "$dir/bug"
[ "$failed" -ne 0 ] || echo "ok explore_bugs: all $found are found"
exit $failed
