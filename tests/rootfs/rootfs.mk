# rootfs.mk: the same library in other root filesystems.
#   make matrix                               every server x every scenario, here and in each root: an hour and a half
#   make matrix MATRIX='--place musl --server nginx'
# A root is made when it is missing, and kept in BUILD/roots; `rm -r` it to have it made anew.
matrix: $(BUILD)/liblastcall.so $(BUILD)/lastcall e2e-build
	$(Q)$(E2E_PYTHON) tests/e2e/not_http.py $(BUILD) --all
	$(Q)$(E2E_PYTHON) tests/rootfs/matrix.py --build $(BUILD) $(MATRIX) $(E2E)

.PHONY: matrix
