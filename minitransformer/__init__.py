"""A Transformer to read in one sitting, and the soft prompts that enter it through its hooks.

The public names stand in `__init__.pyi`. Each is imported when it is first asked for, since torch alone takes seconds.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
