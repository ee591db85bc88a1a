"""`python -m voicemesh`."""

from voicemesh.cli import main

raise SystemExit(main())
