"""Where things lie on disk: the installation, whole files, the folders that commands write."""
