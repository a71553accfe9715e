"""Where a server runs: on this machine, or with another root filesystem (tests/rootfs), entered by chroot(8), which then becomes
the server. Clients, harness and backend stay here: only the server's own libc and programs are others."""
import os
import shutil
import subprocess
from dataclasses import dataclass

PATH = '/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin'


@dataclass
class Place:
    root: str = ''  # empty: this machine

    def command(self, argv):
        return ['/usr/sbin/chroot', self.root, *argv] if self.root else argv

    def which(self, program):
        """The path of a program, as it is called there."""
        if not self.root:
            return shutil.which(program)
        # What a link there points to is not to be looked for here.
        paths = (f'{directory}/{program}' for directory in PATH.split(':'))
        return next((path for path in paths if os.path.lexists(self.root + path)), None)

    def has(self, need):
        """A file, if it is a path, else a program."""
        if '/' not in need:
            return bool(self.which(need))
        return os.path.exists(self.root + need)

    def environment(self):
        """What the server inherits from whoever started the suite."""
        return {**os.environ, 'PATH': PATH} if self.root else dict(os.environ)

    def succeeds(self, *argv):
        return not subprocess.run(self.command(argv), env=self.environment(), capture_output=True, check=False).returncode


HERE = Place()
