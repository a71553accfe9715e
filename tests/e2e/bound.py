"""How long anybody waits for anything, in seconds: who waits longer hangs. No other clock is a verdict, for a busy machine makes
everything take longer. That something ends by itself, and not by its deadline, is what the report says; windows that must not
matter are NEVER over."""
import os

SLOW = float(os.environ.get('E2E_SLOW', '1'))  # how many times longer everything may take: an emulated machine
BOUND = 60 * SLOW
NEVER = '10m'
