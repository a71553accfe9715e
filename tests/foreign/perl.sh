#!/bin/sh
# perl.sh DIRECTORY: perl's own tests, of Debian's source package, for the system's perl of the same version. They take modules
# from `lib` beside them, where the system's are put.
set -eu
dir=$1
[ ! -e "$dir/ready" ] || exit 0
"$(dirname "$0")/../source.sh" perl "$dir/source"
rm -rf "$dir/source/lib"
mkdir "$dir/source/lib"
perl -e 'print "$_\n" for grep { m(^/usr/(share|lib)/) && !/local/ } @INC' | while read -r path; do
    [ ! -d "$path" ] || cp -rsf "$(realpath "$path")/." "$dir/source/lib/"
done
touch "$dir/ready"
