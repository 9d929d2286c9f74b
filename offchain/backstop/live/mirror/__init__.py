"""The model beside a chain that others use."""
